import type { Readable } from 'node:stream';
import type { Descriptor } from './plan.ts';
import type { Timeouts } from './timeouts.ts';

/** Where a registry's name really is, and how it is reached. Key of `registries.<host>` in every service's configuration. */
export interface RegistryEndpoint {
  /** `host:port` to connect to instead of the name's own address. */
  address?: string;
  /** PEM of a private CA. */
  ca?: string;
  plainHTTP?: boolean;
  insecureSkipVerify?: boolean;
  /** Addresses on loopback, link-local and private ranges are refused unless this is true. Implied by `address`. */
  allowPrivate?: boolean;
  /** Other hosts (suffix match on a label boundary) trusted with this registry's credentials: token realms, blob origins. */
  trusted?: string[];
  /** `host[:port]` whose API answers for this registry: connected to, and named in TLS and `Host`, in place of the registry's name. */
  apiHost?: string;
  /** In place of the proxy for all; `none`: reached without any. */
  httpProxy?: EgressProxy | 'none';
  /** In place of those for all, ms. */
  timeouts?: { connectMs?: number; headersMs?: number; idleMs?: number };
}

/** An HTTP proxy that is asked for a tunnel (CONNECT). */
export interface EgressProxy {
  /** `http://host:port` or `https://host:port`. */
  url: string;
  /** PEM of a private CA of an https proxy. */
  ca?: string;
  /** Value of Proxy-Authorization. Never logged. */
  authorization?: string;
}

export type RegistryMap = Readonly<Record<string, RegistryEndpoint>>;

/** What is sent as Authorization, and until when it may be. Never logged. */
export type Credential =
  | { kind: 'anonymous' }
  | { kind: 'basic'; username: string; password: string }
  /** An OAuth2 refresh token (`identitytoken` of a docker config), spent at the registry's token server. */
  | { kind: 'identity'; token: string }
  | ({ kind: 'bearer'; token: string; expiresAtMs: number } & OfAccount)
  /** A finished header value, for Basic-only registries through the broker. */
  | ({ kind: 'header'; value: string } & OfAccount);

interface OfAccount {
  /** Whom the registry counts its requests for, as the broker names it. */
  account?: string;
}

/** Gives the credentials to try for a repository, most specific first. The client adds anonymous at the end when none worked. */
export interface CredentialSource {
  credentials(
    request: { host: string; repository: string; actions: readonly ('pull' | 'push' | 'delete')[] },
    signal?: AbortSignal,
  ): Promise<readonly Credential[]>;
}

/** Closed codes; `retry` on the error says whether the same request may succeed later, `retryAfterMs` when the server said so. */
export type RegistryErrorCode =
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'method-not-allowed'
  | 'rate-limited'
  | 'server-error'
  | 'refused'
  | 'timeout'
  | 'tls'
  | 'dns'
  | 'address-refused'
  | 'untrusted-host'
  | 'digest-mismatch'
  | 'truncated'
  | 'too-large'
  | 'invalid-response'
  | 'rejected'
  | 'aborted'
  | 'range-not-satisfiable';

export interface ManifestHead {
  digest: string;
  mediaType: string;
  size: number;
  /** Upstream's own words about its quota, when it sent any. */
  rateLimit?: RateLimit;
}

export interface RateLimit {
  limit?: number;
  remaining?: number;
  windowSeconds?: number;
}

/** A manifest's exact bytes; `digest` was computed from them. */
export interface Manifest extends ManifestHead {
  bytes: Buffer;
}

/** A blob being read. Its bytes come as a Readable (hashed when whole and `verify`), memory bounded by the buffer pool. */
export interface OpenBlob {
  /** Bytes of the whole blob. */
  totalSize: number;
  /** First byte delivered. */
  offset: number;
  /** Bytes this stream will deliver. */
  length: number;
  contentType: string;
  /** Who gives these bytes hashes them in the order of the blob, and gives its last one only when the digest of the whole agrees: nobody else has to. */
  readonly vouched?: boolean;
  /**
   * Delivers every byte to `sink` with back-pressure. Resolves when all were accepted. Throws RegistryError `truncated` (with
   * `bytesDelivered`) when the peer stopped short, `digest-mismatch` when verifying: the last <= 1 MiB is then never delivered.
   * A sink gets buffers that it may keep only until its returned promise settles (or, when it returns undefined, until it returns).
   */
  deliver(sink: ByteSink, signal?: AbortSignal): Promise<void>;
  /** The same as a stream, for consumers that are not hot. */
  stream(): Readable;
  /** Gives up without reading. */
  cancel(): void;
}

export type ByteSink = (chunk: Buffer) => Promise<void> | undefined;

export interface BlobRequest {
  offset?: number;
  /** Last byte, inclusive. */
  end?: number;
  /** Bytes of the whole blob, when its descriptor is at hand: what is small is not worth being read together with others. */
  size?: number;
  /** Who wants it may leave after a piece, and fetch other pieces beside it. Told to those who read for many; to a registry it means nothing. */
  pieces?: boolean;
  /** Not through those who read for many: they may look where it is known to be wrong. To a registry it means nothing. */
  alone?: boolean;
  /** Hash a whole body and hold the last <= 1 MiB back until the digest agrees. Ignored for ranges. Default true. */
  verify?: boolean;
  signal?: AbortSignal;
  /** The registry sends on to there: whose answer is waited for from now on. What it throws ends the request: nobody is asked there. */
  onSentOn?: (to: URL) => void;
}

/** One repository of one registry. Every method throws RegistryError. */
export interface RepositoryClient {
  readonly host: string;
  readonly repository: string;
  /** HEAD; falls back to GET when the registry answers 405 or 501, or sends no digest. `reference` is a tag or a digest. */
  headManifest(reference: string, options?: { signal?: AbortSignal }): Promise<ManifestHead>;
  /** GET with all four Accept types; bytes are verified when `reference` is a digest; capped at 4 MiB. */
  openManifest(reference: string, options?: { signal?: AbortSignal }): Promise<Manifest>;
  /** The size; undefined when it is not there. HEAD, and the first byte by GET when the registry answers 405 or 501. */
  headBlob(digest: string, options?: { signal?: AbortSignal }): Promise<{ size: number } | undefined>;
  openBlob(digest: string, request?: BlobRequest): Promise<OpenBlob>;
  listTags(options?: { n?: number; last?: string; signal?: AbortSignal }): Promise<{ tags: string[]; next?: string }>;
  /** What refers to a digest, by the registry's referrers API; undefined when it has no such API. */
  listReferrers(digest: string, options?: { signal?: AbortSignal }): Promise<Descriptor[] | undefined>;
  /** PUT of exact bytes; returns the digest that the registry confirmed (checked against ours). */
  putManifest(reference: string, bytes: Buffer, mediaType: string, options?: { signal?: AbortSignal }): Promise<string>;
  /** Deletes a manifest by tag; false when it was not there. */
  deleteTag(tag: string, options?: { signal?: AbortSignal }): Promise<boolean>;
  /** Asks for `digest` to be mounted from a sibling repository; 'mounted', or an upload session to reuse. */
  startUpload(options?: {
    mount?: { digest: string; from: string };
    signal?: AbortSignal;
  }): Promise<{ mounted: true } | { mounted: false; upload: Upload }>;
  /** A session that another process opened, by its `location`. Nothing is asked; `offset` tells whether it is still there. */
  continueUpload(location: string): Upload;
}

/** An upload session. `write` streams one chunk; `commit` finishes with the digest; `abort` deletes the session. */
export interface Upload {
  /** Where the session is now; whoever has this (and a token) can go on with it. */
  readonly location: string;
  /** Every chunk but the last has to be this long; 0: any length will do. */
  readonly chunkMinBytes: number;
  /** PATCH one chunk from `source` (exactly `length` bytes, starting at `offset`). */
  write(source: (sink: ByteSink) => Promise<void>, offset: number, length: number, signal?: AbortSignal): Promise<void>;
  /** PUT in one request: the whole body when nothing was written before. */
  putWhole(
    source: (sink: ByteSink) => Promise<void>,
    length: number,
    digest: string,
    signal?: AbortSignal,
  ): Promise<void>;
  commit(digest: string, signal?: AbortSignal): Promise<void>;
  /** Bytes that the registry has of this session. */
  offset(signal?: AbortSignal): Promise<number>;
  abort(): Promise<void>;
}

/** What requests of one opened repository have in common. */
export interface OpenOptions {
  /** Sent as `X-Request-Id` to the registry itself (not to where it redirects), so that its log can be joined with ours. */
  readonly requestId?: string | undefined;
  /** Further headers for the registry itself (not for where it redirects). */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** No pull waits for what is asked: token servers are asked for it behind pulls, and not while they limit us. Default: one may. */
  readonly background?: boolean | undefined;
}

/** The door to every registry: connections, token cache and buffer pool are shared by all repositories opened from it. */
export interface RegistryAccess {
  /** A repository of a registry that somebody else decided (address policy and trust apply). */
  upstream(host: string, repository: string, credentials: CredentialSource, options?: OpenOptions): RepositoryClient;
  /** A repository of our own cache registry, authorised by tokens that we sign. */
  cache(cache: CacheEndpoint, repository: string, options?: OpenOptions): RepositoryClient;
  /** A layer whose bytes are elsewhere (`urls` of its descriptor), to be read without credentials. */
  foreignLayer(blob: Descriptor): RepositoryClient;
  close(): Promise<void>;
}

/** Our cache registry: plain HTTP by default, Bearer JWTs that we sign ourselves (reader: pull; writer: pull, push, delete). */
export interface CacheEndpoint {
  url: string;
  ca?: string;
  /** Hosts (`host:port`) that it may redirect to with our token; looked at anew for each redirect. */
  trusted?: string[];
  /** Bounds of its own. */
  timeouts?: Partial<Timeouts>;
  signer?: {
    issuer: string;
    audience: string;
    keyPem: string;
    certificatePem: string;
    actions: readonly ('pull' | 'push' | 'delete')[];
  };
}

/** What a credential became: pull-only and short-lived where the registry knows tokens. Never logged. */
export type PullToken =
  | { kind: 'anonymous' }
  | { kind: 'bearer'; token: string; expiresAtMs: number }
  /** A Basic-only registry: the header itself. */
  | { kind: 'header'; value: string };

/** For the credential broker, which hands credentials on instead of using them. */
export interface PullTokenExchange {
  /**
   * Asks the registry (and its token server) for what pulls one repository with this credential. Nothing is cached. Throws
   * RegistryError; `unauthorized` or `forbidden` mean that this credential was refused. With `verify` it has to prove itself on the repository (some
   * token servers give a token without the access that was asked for): on the image `reference` when one is named, whose head takes no right but to
   * pull, else on its tags; `not-found` then means that neither is shown to it.
   */
  exchangePullToken(
    host: string,
    repository: string,
    credential: Credential,
    options?: {
      verify?: boolean | undefined;
      reference?: string | undefined;
      /** No pull waits for it before this is aborted: its token server is asked behind those that do, and not while it limits us. */
      background?: AbortSignal | undefined;
      signal?: AbortSignal | undefined;
    },
  ): Promise<PullToken>;
}

/** For registries that exchange their cloud's access token for a refresh token of their own (Azure). */
export interface RefreshTokenExchange {
  /** Throws RegistryError. The token is spent as a credential of kind `identity`. */
  refreshTokenFor(host: string, accessToken: string, options?: { signal?: AbortSignal | undefined }): Promise<string>;
}
