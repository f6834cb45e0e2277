import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import path from 'node:path';
import type { CachedImage, ServiceName } from '@kuik/contracts';
import { MANIFEST_TYPES, pushImage, until, type MadeImage, type ServiceProcess } from '@kuik/testbed';
import { beginService } from '../stack/begin-service.ts';
import { labelNode } from '../stack/label-node.ts';
import { type LocalParts, leaseLocalParts } from '../stack/local-parts.ts';
import { cachedImages } from '../story/cached-images.ts';
import { pod } from '../story/pods.ts';
import { HOST } from '../story/world.ts';

const PODS = '/api/v1/namespaces/default/pods';
const SETTINGS: Partial<Record<ServiceName, object>> = {
  'pod-watcher': { expiry: { unused: '1s' }, reconcile: { spacing: '20ms', settle: '50ms', holders: '50ms' } },
  gc: {
    removal: { grace: '100ms', check: '50ms', confirmTimeout: '1s' },
    presence: { every: '1s', check: '100ms' },
  },
  'node-proxy': { proxy: { servedInterval: '200ms', patience: '500ms' } },
};
const STARTED = ['pod-watcher', 'gc', 'image-copier', 'node-proxy'] as const;

/** The parts of a cluster that copy, serve and remove images, one process each; its one node runs linux/amd64. */
export class ExactBytes {
  readonly parts: LocalParts & { stop(): Promise<void> };
  readonly #services: readonly ServiceProcess[];

  private constructor(parts: LocalParts & { stop(): Promise<void> }, services: readonly ServiceProcess[]) {
    this.parts = parts;
    this.#services = services;
  }

  static async start(): Promise<ExactBytes> {
    const parts = await leaseLocalParts();
    await labelNode(parts.controlPlane.api);
    const begin = (name: (typeof STARTED)[number]) => beginService(name, parts, { settings: SETTINGS[name] ?? {} });
    return new ExactBytes(parts, await Promise.all(STARTED.map(begin)));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#services.map((service) => service.stop()));
    await this.parts.stop();
  }

  get proxyPrefix(): string {
    return this.parts.facts.proxyPrefix;
  }

  push(repository: string, tags: readonly string[], image: MadeImage) {
    return this.parts.faults.push(HOST, repository, tags, image);
  }

  /** Where the upstream registry itself keeps a repository, for what a push by the front door does not do. */
  backing(repository: string): { url: string; repository: string } {
    const { repository: name } = this.parts.faults.backingOf(HOST, repository);
    return { url: this.parts.stack.upstream.url, repository: name };
  }

  /** Tags an image upstream by hand, as cosign does. */
  async tag(repository: string, tag: string, image: MadeImage): Promise<void> {
    const backing = this.backing(repository);
    await pushImage(backing.url, backing.repository, [tag], image);
  }

  /** A pod that names the image. */
  async hold(name: string, image: string): Promise<void> {
    await this.parts.controlPlane.api.create(PODS, { ...pod(name, [{ name: 'app', image }]) });
  }

  async release(name: string): Promise<void> {
    await this.parts.controlPlane.api.request('DELETE', `${PODS}/${name}`, { gracePeriodSeconds: 0 });
  }

  /** The image, or the first of several, once it is cached and `done` accepts what its stanza says; `meanwhile` is done before each look. */
  cached(
    image: string | readonly string[],
    done: (cache: NonNullable<NonNullable<CachedImage['status']>['cache']>) => boolean = () => true,
    meanwhile: () => Promise<void> = () => Promise.resolve(),
  ): Promise<NonNullable<NonNullable<CachedImage['status']>['cache']>> {
    return until(
      async () => {
        await meanwhile();
        const images = await cachedImages(this.parts.controlPlane.api);
        const all = [image].flat().map((name) => images.get(name)?.status);
        const found = all.find(
          (status) => status?.phase === 'Ready' && status.cache !== undefined && done(status.cache),
        );
        if (found?.cache === undefined)
          throw new Error(JSON.stringify(all.map((status) => status?.cache ?? 'nothing')));
        return found.cache;
      },
      { what: `${[image].flat().join(' or ')} to be cached`, timeoutMs: 20_000 },
    );
  }

  gone(image: string): Promise<unknown> {
    return until(async () => !(await cachedImages(this.parts.controlPlane.api)).has(image), {
      what: `${image} to be gone`,
      timeoutMs: 20_000,
    });
  }

  /** Upstream does not answer any more, or does again. */
  async upstream(state: 'down' | 'up'): Promise<void> {
    const host = this.parts.faults.host(HOST);
    await (state === 'down' ? host.down() : host.up());
  }

  /** What the cache registry itself answers. */
  inCache(repository: string, what: string, method = 'GET'): Promise<Response> {
    const name = `${HOST}/${repository}`;
    const { cache } = this.parts.stack;
    const authorization = cache.authorization('reader', [{ repository: name, actions: ['pull'] }]);
    const headers = { authorization, accept: MANIFEST_TYPES.join(', ') };
    return fetch(`${cache.readerUrl}/v2/${name}/${what}`, { method, headers });
  }

  /** Takes a blob's bytes out of the cache's storage, and the repository's word that it has them. */
  loseFromCache(repository: string, digest: string): void {
    const hex = digest.slice('sha256:'.length);
    const storage = path.join(this.parts.stack.cache.folder, 'docker/registry/v2');
    rmSync(path.join(storage, 'repositories', HOST, repository, '_layers/sha256', hex), { recursive: true });
    rmSync(path.join(storage, 'blobs/sha256', hex.slice(0, 2), hex), { recursive: true });
  }

  /** What a client of the proxy gets, with the digest of the bytes that came. */
  async pull(repository: string, what: string) {
    const url = `http://${this.proxyPrefix}/v2/${HOST}/${repository}/${what}`;
    const answer = await fetch(url, { headers: { accept: MANIFEST_TYPES.join(', ') } });
    const bytes = Buffer.from(await answer.arrayBuffer());
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    return { status: answer.status, headers: answer.headers, bytes, digest };
  }
}

/** `registry.example.test/<repository>`, canonical. */
export function imageIn(repository: string): string {
  return `${HOST}/${repository}`;
}
