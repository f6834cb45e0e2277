import type { ServiceName } from '@kuik/contracts';
import { makeImage, until, type ServiceProcess } from '@kuik/testbed';
import got from 'got';
import { beginService } from '../stack/begin-service.ts';
import { type LocalParts, leaseLocalParts } from '../stack/local-parts.ts';
import { cachedImages } from '../story/cached-images.ts';
import { HOST } from '../story/world.ts';
import { ApiGate } from './api-gate.ts';
import { type HolderName, HOLDERS, makeHolder } from './holders.ts';

/** A day of the story, ms: 30 of them, after which an unused image goes, are the least that can be configured. */
export const DAY_MS = 1_000 / 30;

const SETTINGS: Partial<Record<ServiceName, object>> = {
  'pod-watcher': {
    expiry: { unused: '1s' },
    reconcile: { patience: '200ms', spacing: '20ms', settle: '50ms', holders: '50ms' },
  },
  gc: { removal: { grace: '100ms', check: '50ms', confirmTimeout: '1s' } },
};
const SERVICES = ['pod-watcher', 'gc', 'image-copier', 'node-proxy'] as const;
type Started = (typeof SERVICES)[number];

/** The parts of a cluster that keep and remove images, one process each, with a gate before the API server of pod-watcher and gc. */
export class Weekend {
  readonly gate: ApiGate;
  readonly services: Readonly<Record<Started, ServiceProcess>>;
  /** Digest of each holder's image, by its reference. */
  readonly digests = new Map<string, string>();
  readonly #parts: LocalParts & { stop(): Promise<void> };

  private constructor(
    parts: LocalParts & { stop(): Promise<void> },
    gate: ApiGate,
    services: Record<Started, ServiceProcess>,
  ) {
    this.#parts = parts;
    this.gate = gate;
    this.services = services;
  }

  static async start(): Promise<Weekend> {
    const parts = await leaseLocalParts();
    const gate = await ApiGate.open(parts.controlPlane);
    const started = await Promise.all(SERVICES.map(async (name) => [name, await begin(name, parts, gate)] as const));
    return new Weekend(parts, gate, Object.fromEntries(started) as Record<Started, ServiceProcess>);
  }

  async stop(): Promise<void> {
    await Promise.all(Object.values(this.services).map((service) => service.stop()));
    await this.gate.close();
    await this.#parts.stop();
  }

  get proxyPrefix(): string {
    return this.#parts.facts.proxyPrefix;
  }

  /** Puts an image upstream and has it held; resolves when all of them are cached. */
  async hold(names: readonly HolderName[]): Promise<void> {
    const { faults, controlPlane } = this.#parts;
    for (const name of names) {
      const { digest } = await faults.push(
        HOST,
        `weekend/${name}`,
        ['1'],
        await makeImage({ seed: `weekend/${name}` }),
      );
      this.digests.set(imageOf(name), digest);
      await makeHolder(controlPlane, name, imageOf(name));
    }
    const ready = async (): Promise<boolean> => {
      const images = await this.images();
      return names.every((name) => images.get(imageOf(name))?.status?.phase === 'Ready');
    };
    await until(ready, { what: 'every image to be cached', timeoutMs: 20_000 });
  }

  images(): ReturnType<typeof cachedImages> {
    return cachedImages(this.#parts.controlPlane.api);
  }

  /** A person's wish that an image expires at a time: it stays while it is used. */
  async expireAt(name: HolderName, expiresAt: Date): Promise<void> {
    const image = (await this.images()).get(imageOf(name))!;
    const change = { spec: { expiresAt: expiresAt.toISOString() } };
    const where = `/apis/kuik.enix.io/v1alpha1/cachedimages/${image.metadata.name}`;
    await this.#parts.controlPlane.api.request('PATCH', where, change, { contentType: 'application/merge-patch+json' });
  }

  /** The holder goes. */
  async release(name: HolderName): Promise<void> {
    const path = HOLDERS[name].path;
    await this.#parts.controlPlane.api.request('DELETE', `${path}/${name}`, { gracePeriodSeconds: 0 });
  }

  /** Every image is gone from upstream, and upstream with them. */
  async loseUpstream(): Promise<void> {
    await this.#parts.faults.host(HOST).down();
  }

  /** What pod-watcher says to a person who asks. */
  whyKept(image: string): Promise<string> {
    const url = this.services['pod-watcher'].metricsUrl.replace('/metrics', '/why-kept');
    return got(url, { searchParams: { image }, throwHttpErrors: false, retry: { limit: 0 } }).text();
  }

  /** Whether pod-watcher knows every collection in full. */
  async known(): Promise<boolean> {
    const text = await got(this.services['pod-watcher'].metricsUrl, { retry: { limit: 0 } }).text();
    const known = [...text.matchAll(/^kuik_watch_known\{.*\} (\d)$/gm)].map(([, value]) => value);
    return known.length > 0 && known.every((value) => value === '1');
  }

  /** Whether the cache registry has the image's tag. */
  async inCache(name: HolderName): Promise<boolean> {
    const repository = `${HOST}/weekend/${name}`;
    const { cache } = this.#parts.stack;
    const authorization = cache.authorization('reader', [{ repository, actions: ['pull'] }]);
    const accept = 'application/vnd.oci.image.manifest.v1+json';
    const url = `${cache.readerUrl}/v2/${repository}/manifests/1`;
    return (await fetch(url, { method: 'HEAD', headers: { authorization, accept } })).status === 200;
  }
}

/** The image of a holder, canonical. */
export function imageOf(name: HolderName): string {
  return `${HOST}/weekend/${name}:1`;
}

function begin(name: Started, parts: LocalParts, gate: ApiGate): Promise<ServiceProcess> {
  const settings = SETTINGS[name];
  if (settings === undefined) return beginService(name, parts);
  return beginService(name, parts, { settings, lead: (kubeconfig) => gate.lead(kubeconfig) });
}
