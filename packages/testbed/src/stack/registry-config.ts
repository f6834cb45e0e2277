/** What differs between the registry processes of a stack. */
export interface RegistryProcess {
  readonly port: number;
  readonly folder: string;
  /** Signs upload sessions; the same for every process over one storage. */
  readonly httpSecret: string;
  readonly readOnly?: boolean;
  /** Takes an index only with every manifest that it lists; sparse ones are taken by default. */
  readonly wholeIndexes?: boolean;
  /** Token authentication; without it, or `htpasswdFile`, anonymous. */
  readonly trust?: { readonly issuer: string; readonly audience: string; readonly certificateFile: string };
  /** Basic authentication: lines of `name:<bcrypt hash>`. */
  readonly htpasswdFile?: string;
  /** HTTPS; plain HTTP when absent. */
  readonly tls?: { readonly certificateFile: string; readonly keyFile: string };
}

/**
 * Configuration of Distribution 3, as JSON (which is YAML). No blob descriptor cache: it lies after a collection. Sparse
 * indexes and manifests with foreign layers are accepted, because they are kept byte for byte.
 */
export function registryConfig(settings: RegistryProcess): string {
  const { port, folder, httpSecret, readOnly = false, wholeIndexes = false, trust, htpasswdFile, tls } = settings;
  const token = trust && {
    token: {
      // Our services sign their own tokens unasked, so nobody ever goes to the realm.
      realm: 'https://unused.invalid/token',
      service: trust.audience,
      issuer: trust.issuer,
      rootcertbundle: trust.certificateFile,
    },
  };
  return JSON.stringify({
    version: 0.1,
    log: { level: 'warn', accesslog: { disabled: true } },
    storage: {
      filesystem: { rootdirectory: folder, maxthreads: 100 },
      delete: { enabled: true },
      maintenance: { uploadpurging: { enabled: false }, readonly: { enabled: readOnly } },
    },
    http: {
      addr: `127.0.0.1:${port}`,
      secret: httpSecret,
      relativeurls: true,
      ...(tls && { tls: { certificate: tls.certificateFile, key: tls.keyFile } }),
    },
    validation: {
      manifests: { urls: { allow: ['^https?://'] }, indexes: { platforms: wholeIndexes ? 'all' : 'none' } },
    },
    ...(token && { auth: token }),
    ...(htpasswdFile && { auth: { htpasswd: { realm: 'registry', path: htpasswdFile } } }),
  });
}
