import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import type { CachedImage } from '@kuik/contracts';
import { formatReference, parseReference, toCacheRepository } from '@kuik/image';
import { until, type MadeImage } from '@kuik/testbed';
import type { LocalStack } from '../stack/local-stack.ts';
import { cachedImages } from '../story/cached-images.ts';
import { pod, type Pod } from '../story/pods.ts';
import { HOST } from '../story/world.ts';
import { ask, type Answer, type Asking } from './raw-client.ts';

const PODS = '/api/v1/namespaces/default/pods';
const IMAGES = '/apis/kuik.enix.io/v1alpha1/cachedimages';

/** What the behaviours do with a whole system, in a word each. */
export class ShopFloor {
  readonly stack: LocalStack;

  constructor(stack: LocalStack) {
    this.stack = stack;
  }

  /** Puts an image upstream. */
  push(repository: string, tags: readonly string[], image: MadeImage) {
    return this.stack.push(HOST, repository, tags, image);
  }

  /** All that our services logged, and what Redis wrote to its disk: jobs, times, leases, also those that are over. */
  keptOnDisk(): { readonly what: string; readonly text: string }[] {
    const { services, stack } = this.stack;
    const logs = Object.entries(services).flatMap(([what, replicas]) => replicas.map(({ logFile }) => [what, logFile]));
    const files = readdirSync(path.join(stack.redis.folder, 'appendonlydir')).map((name) => [
      'redis',
      path.join(stack.redis.folder, 'appendonlydir', name),
    ]);
    return [...logs, ...files].map(([what, file]) => ({ what: what!, text: readFileSync(file!, 'latin1') }));
  }

  /** Creates a pod of one container on the node, as the API server stored it. */
  async pod(name: string, image: string, spec: object = {}): Promise<Pod> {
    const wanted = pod(name, [{ name: 'app', image }]);
    const created = await this.stack.api.create<Pod>(PODS, { ...wanted, spec: { ...wanted.spec, ...spec } });
    await this.stack.controlPlane.bindPod('default', name);
    return created;
  }

  async removePod(name: string): Promise<void> {
    await this.stack.api.request('DELETE', `${PODS}/${name}`, { gracePeriodSeconds: 0 });
  }

  async image(reference: string): Promise<CachedImage | undefined> {
    return (await cachedImages(this.stack.api)).get(formatReference(parseReference(reference)));
  }

  change(image: CachedImage, change: object): Promise<unknown> {
    return this.stack.api.request('PATCH', `${IMAGES}/${image.metadata.name}`, change, {
      contentType: 'application/merge-patch+json',
    });
  }

  remove(image: CachedImage): Promise<void> {
    return this.stack.api.delete(`${IMAGES}/${image.metadata.name}`);
  }

  /** `shop/manifests/1.0` of the made-up upstream, through the proxy. */
  get(rest: string, asking?: Asking): Promise<Answer> {
    return this.raw(`/v2/${HOST}/${rest}`, asking);
  }

  raw(target: string, asking?: Asking): Promise<Answer> {
    return ask(this.stack.proxyPrefix, target, asking);
  }

  /** The digest of a tag in the cache registry itself; undefined when it is not there. */
  async inCache(reference: string): Promise<string | undefined> {
    const parsed = parseReference(reference);
    const repository = toCacheRepository(parsed)!;
    const { cache } = this.stack.stack;
    const authorization = cache.authorization('reader', [{ repository, actions: ['pull'] }]);
    const address = new URL(cache.readerUrl).host;
    const target = `/v2/${repository}/manifests/${parsed.digest ?? parsed.tag!}`;
    const answer = await ask(address, target, { headers: { authorization } });
    return answer.status === 200 ? answer.digest : undefined;
  }

  /** Requests that upstream has seen for other repositories than these, or for anything but reading. */
  strangeRequests(known: readonly string[]): string[] {
    return this.stack.faults.log
      .requests({ host: HOST })
      .filter(({ method, repository }) => !['GET', 'HEAD'].includes(method) || !known.includes(repository ?? known[0]!))
      .map(({ method, path }) => `${method} ${path}`);
  }

  /** Reads of a blob that upstream has seen, their Range headers in order. */
  upstreamReads(digest: string): (string | undefined)[] {
    return this.stack.faults.log
      .requests({ host: HOST, kind: 'blob', method: 'GET' })
      .filter(({ reference }) => reference === digest)
      .map(({ range }) => range);
  }

  /** By uid: the version of each pod, and what each Ready CachedImage says (but for the day of the last pull, told late and in batches). */
  async written(): Promise<Record<string, string>> {
    const pods = await this.stack.api.list<Pod>(PODS);
    const all = [...(await cachedImages(this.stack.api)).values()];
    const images = all.filter(({ status }) => status?.phase === 'Ready');
    return Object.fromEntries([
      ...pods.map(({ metadata }) => [metadata.uid, `${metadata.name} ${metadata.resourceVersion}`]),
      ...images.map(({ metadata, spec, status: { lastPulled: _day, ...status } = {} }) => [
        metadata.uid,
        JSON.stringify({ spec, status }),
      ]),
    ]) as Record<string, string>;
  }

  async until(what: string, check: () => Promise<unknown>, timeoutMs = 20_000): Promise<void> {
    await until(async () => Boolean(await check()), { what, timeoutMs });
  }
}
