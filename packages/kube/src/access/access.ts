/** What a TLS connection to the API server needs. PEM. */
export interface TlsMaterial {
  ca?: string | Buffer;
  cert?: string | Buffer;
  key?: string | Buffer;
  servername?: string;
  rejectUnauthorized?: boolean;
}

export type CallHeaders = Record<string, string | string[]>;

/** Where an API server is, and how this process proves who it is. */
export interface Access {
  /** `https://host:port`, or with a path when the server lives under one. */
  readonly server: string;
  /** Read anew for each connection, so that rotated files are taken up. */
  tls(): Promise<TlsMaterial>;
  /** Headers of each call: `authorization`, impersonation. */
  headers(): Promise<CallHeaders>;
  /** The server answered 401: whatever is remembered is read again. */
  forget(): void;
}
