import type { CacheEndpoint, RegistryMap } from '@kuik/registry';
import type { Config } from './config.ts';

type Read = (path: string) => string;

/** `registries.<host>` as the registry client takes it, CA files read. */
export function registryMap(config: Pick<Config, 'registries'>, read: Read): RegistryMap {
  return Object.fromEntries(
    Object.entries(config.registries).map(([host, { caFile, ca = caFile && read(caFile), ...rest }]) => {
      const known = Object.entries({ ...rest, ca }).filter(([, value]) => value !== undefined && value !== '');
      return [host, Object.fromEntries(known)];
    }),
  );
}

/** The cache registry; with a key, read by tokens that may only pull. */
export function cacheEndpoint(cache: Config['cache'], read: Read): CacheEndpoint {
  const { url, caFile, issuer = 'kuik-r', keyFile, certificateFile } = cache;
  return {
    url,
    ...(caFile === undefined ? {} : { ca: read(caFile) }),
    ...(keyFile === undefined || certificateFile === undefined
      ? {}
      : {
          signer: {
            issuer,
            audience: 'kuik',
            keyPem: read(keyFile),
            certificatePem: read(certificateFile),
            actions: ['pull'] as const,
          },
        }),
  };
}
