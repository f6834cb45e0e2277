import { readFileSync } from 'node:fs';
import {
  type addressPolicyConfig,
  type BrokeredCredential,
  type cacheConfig,
  type egressProxyConfig,
  ERROR_CODES,
  type httpProxyConfig,
  type registriesConfig,
} from '@kuik/contracts';
import type { z } from 'zod';
import type { RegistrySettings } from './access.ts';
import type { CacheEndpoint, Credential, EgressProxy, RegistryMap } from './port.ts';
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

/** The sections of a service's configuration that say how registries of others are reached. */
export interface UpstreamSections {
  readonly registries: z.output<typeof registriesConfig>;
  readonly httpProxy: z.output<typeof httpProxyConfig>;
  readonly addressPolicy: z.output<typeof addressPolicyConfig>;
}

/** Those that a running process takes over when its file changes. */
export const UPSTREAM_SECTIONS = [
  'registries',
  'httpProxy',
  'addressPolicy',
] as const satisfies readonly (keyof UpstreamSections)[];

/** These sections with the files read that they name. Throws when a file cannot be read. */
export function readRegistrySettings({ registries, httpProxy, addressPolicy }: UpstreamSections): RegistrySettings {
  const { noProxy, url, ...proxy } = httpProxy;
  const rule = url === undefined ? {} : { httpProxy: { proxy: readProxy('httpProxy', { ...proxy, url }), noProxy } };
  return { registries: readRegistries(registries), addressPolicy, ...rule };
}

/** The files that these sections name: what changes in them counts as soon as a change of the sections does. */
export function registryFiles({ registries, httpProxy }: UpstreamSections): string[] {
  const proxies = Object.values(registries).map((registry) => registry.httpProxy);
  const named = [...Object.values(registries), httpProxy, ...proxies.filter((proxy) => typeof proxy === 'object')];
  return named.flatMap((section) => [
    ...(section.caFile === undefined ? [] : [section.caFile]),
    ...('credentialsFile' in section && section.credentialsFile !== undefined ? [section.credentialsFile] : []),
  ]);
}

function readRegistries(settings: z.output<typeof registriesConfig>): RegistryMap {
  return Object.fromEntries(
    Object.entries(settings).map(([host, { caFile, httpProxy, timeouts, ...rest }]) => {
      const setting = `registries[${JSON.stringify(host)}]`;
      const ca = caFile === undefined ? rest.ca : readSettingFile(`${setting}.caFile`, caFile);
      const proxy = typeof httpProxy === 'object' ? readProxy(`${setting}.httpProxy`, httpProxy) : httpProxy;
      const own = timeouts === undefined ? undefined : present(readTimeouts(timeouts));
      return [host, present({ ...rest, ca, httpProxy: proxy, timeouts: own })];
    }),
  );
}

function present<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}

/** A name and password come from a file, or stand in the URL as the environment's often do; they leave it here. */
function readProxy(
  setting: string,
  { url, ca, caFile, credentialsFile }: z.output<typeof egressProxyConfig>,
): EgressProxy {
  const at = new URL(url);
  const inUrl =
    at.username === '' ? undefined : `${decodeURIComponent(at.username)}:${decodeURIComponent(at.password)}`;
  const login =
    credentialsFile === undefined ? inUrl : readSettingFile(`${setting}.credentialsFile`, credentialsFile).trim();
  const pem = caFile === undefined ? ca : readSettingFile(`${setting}.caFile`, caFile);
  return {
    url: at.origin,
    ...(pem === undefined ? {} : { ca: pem }),
    ...(login === undefined ? {} : { authorization: `Basic ${Buffer.from(login).toString('base64')}` }),
  };
}

/** Bounds of a service's configuration. */
export function readTimeouts({
  connect,
  headers,
  idle,
}: {
  readonly connect?: number | undefined;
  readonly headers?: number | undefined;
  readonly idle?: number | undefined;
}): Partial<Timeouts> {
  return present({ connectMs: connect, headersMs: headers, idleMs: idle });
}

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
  if (brokered.kind === 'anonymous') return [];
  const { account } = brokered;
  const of = account === undefined ? {} : { account };
  return brokered.kind === 'bearer'
    ? [{ kind: 'bearer', token: brokered.token, expiresAtMs: brokered.expiresAtMs, ...of }]
    : [{ kind: 'header', value: brokered.value, ...of }];
}
