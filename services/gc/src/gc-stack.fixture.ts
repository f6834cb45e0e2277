import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { connectBus, type Bus } from '@kuik/bus';
import {
  CRDS,
  FINALIZER,
  HOLDERS_CONFIRM,
  IMAGE_STATE,
  REPOSITORY_LABEL,
  type CachedImage,
  type CachedImageStatus,
  type HoldersConfirmReply,
} from '@kuik/contracts';
import { parseReference, repositoryLabel } from '@kuik/image';
import {
  leaseTestbed,
  makeImage,
  pushImage,
  pushReferrer,
  serviceIdentity,
  until,
  type Descriptor,
  type KubeObject,
  type MadeImage,
  type ServiceIdentity,
  type Stack,
} from '@kuik/testbed';

export const NAMESPACE = 'kuik-system';
export const IMAGES = '/apis/kuik.enix.io/v1alpha1/cachedimages';
export const REPOSITORY = 'registry.example.test/shop';
export const GRACE_MS = 300;

/** An API server, NATS with pod-watcher's answers on it, and the cache registry; gc with its own identity and the chart's own Role. */
export class GcStack {
  readonly stack: Stack<'controlPlane' | 'nats' | 'cache'>;
  readonly identity: ServiceIdentity;
  readonly watcher: Bus;
  /** What pod-watcher says of whatever gc asks about. */
  holders: HoldersConfirmReply['images'][number]['verdict'] = 'free';

  private constructor(stack: GcStack['stack'], identity: ServiceIdentity, watcher: Bus) {
    this.stack = stack;
    this.identity = identity;
    this.watcher = watcher;
  }

  static async start(): Promise<GcStack> {
    const stack = await leaseTestbed({ parts: ['controlPlane', 'nats', 'cache'] });
    await stack.controlPlane.applyAll(CRDS);
    await stack.controlPlane.namespace(NAMESPACE);
    await stack.controlPlane.applyYaml(chartRole());
    const identity = await serviceIdentity(stack, 'gc');
    const seedFile = path.join(identity.folder, 'watcher.nkey');
    await writeFile(seedFile, stack.nats.seeds['pod-watcher'], { mode: 0o600 });
    const watcher = connectBus({ url: stack.nats.url, service: 'pod-watcher', seedFile });
    const states = watcher.bucket(IMAGE_STATE, { create: true });
    await until(async () => (await states.keys()).length === 0, { what: 'the bucket of states' });
    const gcStack = new GcStack(stack, identity, watcher);
    watcher.respond(HOLDERS_CONFIRM, ({ images }) =>
      Promise.resolve({ images: images.map(({ uid }) => ({ uid, verdict: gcStack.holders })) }),
    );
    return gcStack;
  }

  async stop(): Promise<void> {
    await this.watcher.close();
    await this.stack.stop();
  }

  /** Writes a replica's configuration; returns the file. */
  async configure(replica: string, change: { cacheUrl?: string; port?: number } = {}): Promise<string> {
    const file = path.join(this.identity.folder, `${replica}.json`);
    const { nats, kubeconfig } = this.identity;
    const { cacheUrl, port = 0 } = change;
    const cache = { ...this.identity.cache, ...(cacheUrl === undefined ? {} : { url: cacheUrl }) };
    const http = { host: '127.0.0.1', port };
    const lease = { namespace: NAMESPACE, identity: replica, duration: '2s', renew: '400ms' };
    const removal = { grace: `${GRACE_MS}ms`, confirmTimeout: '1s', check: '50ms' };
    await writeFile(file, JSON.stringify({ http, nats, cache, kube: { kubeconfig }, lease, removal }));
    return file;
  }

  /** A resource as pod-watcher and copier leave it: unused and expired, unless told otherwise. */
  async add(name: string, sourceImage: string, digest: string, status: CachedImageStatus = {}): Promise<CachedImage> {
    const type = { apiVersion: 'kuik.enix.io/v1alpha1', kind: 'CachedImage' };
    const client = this.stack.controlPlane.api;
    const created = await client.create<never>(IMAGES, {
      ...type,
      metadata: {
        name,
        finalizers: [FINALIZER],
        labels: { [REPOSITORY_LABEL]: repositoryLabel(parseReference(sourceImage)) },
      },
      spec: { sourceImage },
    });
    const forUid = (created as CachedImage).metadata.uid;
    const applied = await client.apply(
      {
        ...type,
        metadata: { name },
        status: {
          usedBy: { forUid, count: 0 },
          expiresAt: new Date(Date.now() - 1_000).toISOString(),
          cache: { forUid, digest, bytes: 4096, copiedAt: new Date(Date.now() - 60_000).toISOString() },
          ...status,
        },
      },
      { fieldManager: 'test', subresource: 'status' },
    );
    return applied as unknown as CachedImage;
  }

  /** Somebody else's change of a status. */
  async bend(name: string, status: object): Promise<void> {
    const merge = { contentType: 'application/merge-patch+json' };
    await this.stack.controlPlane.api.request('PATCH', `${IMAGES}/${name}/status`, { status }, merge);
  }

  find(name: string): Promise<(KubeObject & CachedImage) | undefined> {
    return this.stack.controlPlane.api.find<KubeObject & CachedImage>(`${IMAGES}/${name}`);
  }

  async gone(name: string): Promise<void> {
    const isGone = async (): Promise<boolean> => (await this.find(name)) === undefined;
    await until(isGone, { what: `${name} to be gone`, timeoutMs: 15_000 });
  }

  async push(tags: string[], seed: string) {
    return this.pushMade(tags, await makeImage({ seed }));
  }

  pushMade(tags: string[], image: MadeImage) {
    const { writerUrl } = this.stack.cache;
    return pushImage(writerUrl, REPOSITORY, tags, image, { authorization: this.#asWriter() });
  }

  /** As the copier leaves it: listed by its subject's fallback index. */
  pushReferrer(subject: Descriptor, artifact: MadeImage) {
    const { writerUrl } = this.stack.cache;
    return pushReferrer(writerUrl, REPOSITORY, subject, artifact, { authorization: this.#asWriter() });
  }

  #asWriter(): string {
    return this.stack.cache.authorization('writer', [{ repository: REPOSITORY, actions: ['pull', 'push'] }]);
  }

  /** Status of a manifest request to the reading side. */
  async served(reference: string): Promise<number> {
    const { cache } = this.stack;
    const authorization = cache.authorization('reader', [{ repository: REPOSITORY, actions: ['pull'] }]);
    const accept = 'application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json';
    const answer = await fetch(`${cache.readerUrl}/v2/${REPOSITORY}/manifests/${reference}`, {
      headers: { authorization, accept },
    });
    await answer.arrayBuffer();
    return answer.status;
  }

  /** All tags that the repository has in the cache. */
  async tags(): Promise<string[]> {
    const { cache } = this.stack;
    const authorization = cache.authorization('reader', [{ repository: REPOSITORY, actions: ['pull'] }]);
    const answer = await fetch(`${cache.readerUrl}/v2/${REPOSITORY}/tags/list`, { headers: { authorization } });
    return ((await answer.json()) as { tags: string[] | null }).tags ?? [];
  }

  async eventsOn(name: string): Promise<string[]> {
    const events = await this.stack.controlPlane.api.list('/apis/events.k8s.io/v1/namespaces/default/events');
    return events
      .filter((event) => (event['regarding'] as { name?: string }).name === name)
      .map((event) => event['reason'] as string);
  }
}

/** The chart's own Role, with Helm's few expressions filled in. */
function chartRole(): string {
  const chart = '../../../charts/kube-image-keeper/charts/gc/templates/rbac.yaml';
  return readFileSync(new URL(chart, import.meta.url), 'utf8')
    .replaceAll(/^ *labels: \{\{-.*\n/gm, '')
    .replaceAll('{{ .Release.Namespace }}', NAMESPACE);
}
