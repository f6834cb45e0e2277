import { makeImage, startFaultProxy, startUpstreamRegistry, type FaultProxy, type MadeImage } from '@kuik/testbed';
import { createRegistryAccess, type RegistryAccessOptions } from '../access.ts';
import type { Credential, OpenOptions, RepositoryClient } from '../port.ts';

export const HUB = 'docker.io';
export const LAYER = 3_000_000;

/** Named registries over TLS behind the fault proxy, each with one image under `team/app:v1` and `:v2`. */
export interface NamedUpstreams {
  readonly faults: FaultProxy;
  readonly image: MadeImage;
  /** Digest of the image's one layer, of LAYER bytes. */
  readonly layer: string;
  /** `team/app` of a host, over an access of its own. */
  client(host: string, credentials?: Credential[], options?: RegistryAccessOptions & OpenOptions): RepositoryClient;
  bytesOf(digest: string): Buffer;
  requests(host: string): ReturnType<FaultProxy['log']['requests']>;
  /** Closes every access that a test opened; the faults are as after the start. */
  reset(): Promise<void>;
  /** Closes the last access that was opened. */
  closeLast(): Promise<void>;
  stop(): Promise<void>;
}

export async function startNamedUpstreams(): Promise<NamedUpstreams> {
  const registry = await startUpstreamRegistry();
  const hosts = [HUB, 'registry.example.org', 'auth.evil.test'];
  const faults = await startFaultProxy({ backingUrl: registry.url, tls: true, hosts });
  const image = await makeImage({ seed: 'upstream', layers: [{ bytes: LAYER, encoding: 'raw' }], json: 'odd' });
  for (const host of [HUB, 'registry.example.org', faults.originName]) {
    await faults.push(host, 'team/app', ['v1', 'v2'], image);
  }
  const opened: { close(): Promise<void> }[] = [];
  return {
    faults,
    image,
    layer: image.blobs[1]!.digest,
    client(host, credentials = [], { requestId, ...options } = {}) {
      const access = createRegistryAccess({ registries: faults.registries(), ...options });
      opened.push(access);
      return access.upstream(host, 'team/app', { credentials: () => Promise.resolve(credentials) }, { requestId });
    },
    bytesOf: (digest) => Buffer.concat([...image.blobs.find((blob) => blob.digest === digest)!.open()]),
    requests: (host) => faults.log.requests({ host }),
    async reset() {
      await Promise.all(opened.splice(0).map((access) => access.close()));
      await faults.reset();
    },
    closeLast: async () => opened.pop()?.close(),
    async stop() {
      await faults.close();
      await registry.stop();
    },
  };
}
