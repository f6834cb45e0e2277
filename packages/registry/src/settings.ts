import { readFileSync } from 'node:fs';
import {
  type BrokeredCredential,
  type cacheConfig,
  ERROR_CODES,
  type registriesConfig,
  type upstreamTimeoutsConfig,
} from '@kuik/contracts';
import type { z } from 'zod';
import type { CacheEndpoint, Credential, RegistryMap } from './port.ts';
import type { Timeouts } from './timeouts.ts';

/**
 * The cache registry of a service's configuration, with its key files read. Without a key nothing is signed. Throws when a file cannot
 * be read (the message names it).
 */
export function readCacheEndpoint(
  settings: z.output<typeof cacheConfig>,
  actions: readonly ('pull' | 'push' | 'delete')[],
): CacheEndpoint {
  const { url, caFile, keyFile, certificateFile, issuer } = settings;
  const ca = caFile === undefined ? {} : { ca: readSettingFile('cache.caFile', caFile) };
  if (keyFile === undefined) return { url, ...ca };
  if (certificateFile === undefined) throw new Error('cache.keyFile needs cache.certificateFile beside it');
  const signer = {
    issuer: issuer ?? (actions.includes('push') || actions.includes('delete') ? 'kuik-w' : 'kuik-r'),
    audience: 'kuik',
    keyPem: readSettingFile('cache.keyFile', keyFile),
    certificatePem: readSettingFile('cache.certificateFile', certificateFile),
    actions,
  };
  return { url, ...ca, signer };
}

/** The certificate that readers' tokens are checked by, where the settings name one. Throws when it cannot be read. */
export function readReadersCertificate({
  readersCertificateFile,
}: Pick<z.output<typeof cacheConfig>, 'readersCertificateFile'>): string | undefined {
  if (readersCertificateFile === undefined) return undefined;
  return readSettingFile('cache.readersCertificateFile', readersCertificateFile);
}

/** `registries.<host>` of a service's configuration, with CA files read. Throws when a file cannot be read. */
export function readRegistries(settings: z.output<typeof registriesConfig>): RegistryMap {
  return Object.fromEntries(
    Object.entries(settings).map(([host, { caFile, ...rest }]) => {
      const ca = caFile === undefined ? rest.ca : readSettingFile(`registries[${JSON.stringify(host)}].caFile`, caFile);
      const present = Object.entries({ ...rest, ca }).filter(([, value]) => value !== undefined);
      return [host, Object.fromEntries(present)];
    }),
  );
}

/** Bounds of a service's configuration. */
export function readTimeouts({
  connect,
  headers,
  idle,
}: Pick<z.output<typeof upstreamTimeoutsConfig>, 'connect' | 'headers' | 'idle'>): Partial<Timeouts> {
  return { connectMs: connect, headersMs: headers, idleMs: idle };
}

/** The file that a setting names. Throws with the setting, the path and the reason: the mistake of whoever wrote or mounted it. */
/** The text of a file that a setting names. Throws with the setting and the file, as a mistake of the configuration. */
export function readSettingFile(setting: string, file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    const { code } = ERROR_CODES.configInvalid;
    throw Object.assign(new Error(`${setting}: cannot read ${file}: ${why}`, { cause: error }), { code });
  }
}

/** What the broker handed out, as what is tried: nothing for anonymous, which the client tries anyway. */
export function credentialsOf(brokered: BrokeredCredential): readonly Credential[] {
  switch (brokered.kind) {
    case 'anonymous':
      return [];
    case 'bearer':
      return [{ kind: 'bearer', token: brokered.token, expiresAtMs: brokered.expiresAtMs }];
    case 'header':
      return [{ kind: 'header', value: brokered.value }];
  }
}
