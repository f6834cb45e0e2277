import { isDigest, isRepositoryPath, isTag } from '@kuik/image';
import { RegistryError } from './errors.ts';
import { MemoryStore } from './memory-store.ts';
import { openBlobOver } from './open-blob.ts';
import type { Descriptor } from './plan.ts';
import type { BlobRequest, ByteSink, OpenBlob, RegistryAccess, RepositoryClient, Upload } from './port.ts';

/** One call on an in-memory registry. */
export interface MemoryRequest {
  host: string;
  repository: string;
  operation:
    | 'head-manifest'
    | 'open-manifest'
    | 'head-blob'
    | 'open-blob'
    | 'tags'
    | 'referrers'
    | 'put-manifest'
    | 'delete-tag'
    | 'upload';
  /** Tag or digest, where there is one. */
  reference?: string;
}

export interface MemoryRegistryOptions {
  /** Called before each request is answered; what it throws is the answer. */
  intercept?: (request: MemoryRequest) => void;
}

/** Registries in memory, behind the same port as real ones: for unit tests of whoever uses them. */
export interface MemoryRegistry {
  /** A repository of any host; each host is a registry of its own. */
  repository(host: string, repository: string): RepositoryClient;
  /** The door: `upstream` by host, `cache` by its URL's host; credentials are not asked for. */
  readonly access: RegistryAccess;
  /** Every request, oldest first. */
  readonly requests: readonly MemoryRequest[];
  /** Stores a blob without a request; returns its digest. */
  putBlob(host: string, repository: string, bytes: Buffer, digest: string): void;
  /** Answers the referrers API of one repository; without, it has none. */
  answerReferrers(host: string, repository: string, answer: (digest: string) => Descriptor[]): void;
  /** Forgets a blob of one repository, as a lost disk would. */
  dropBlob(host: string, repository: string, digest: string): void;
}

/** Empty registries. They keep Distribution's rules as far as the conformance suite tells. */
export function memoryRegistry(options: MemoryRegistryOptions = {}): MemoryRegistry {
  const stores = new Map<string, MemoryStore>();
  const requests: MemoryRequest[] = [];
  const storeOf = (host: string) => {
    let store = stores.get(host);
    if (store === undefined) stores.set(host, (store = new MemoryStore()));
    return store;
  };
  const repository = (host: string, name: string): RepositoryClient => {
    if (!isRepositoryPath(name)) throw new RegistryError('rejected', `"${name}" is not a repository`);
    const seen = (operation: MemoryRequest['operation'], reference?: string) => {
      const request = { host, repository: name, operation, ...(reference === undefined ? {} : { reference }) };
      requests.push(request);
      options.intercept?.(request);
    };
    return memoryRepository(host, name, storeOf(host), seen);
  };
  return {
    repository,
    requests,
    access: {
      upstream: (host, name) => repository(host, name),
      cache: ({ url }, name) => repository(new URL(url).host, name),
      foreignLayer: ({ urls = [] }) => repository(new URL(urls[0] ?? 'https://nowhere').host, 'foreign-layers'),
      close: () => Promise.resolve(),
    },
    putBlob: (host, name, bytes, digest) => storeOf(host).putBlob(name, bytes, digest),
    answerReferrers: (host, name, answer) => void (storeOf(host).repository(name).referrers = answer),
    dropBlob: (host, name, digest) => void storeOf(host).repository(name).blobs.delete(digest),
  };
}

function memoryRepository(
  host: string,
  name: string,
  store: MemoryStore,
  seen: (operation: MemoryRequest['operation'], reference?: string) => void,
): RepositoryClient {
  return {
    host,
    repository: name,
    async headManifest(reference, options) {
      await turn(options?.signal);
      seen('head-manifest', checkReference(reference));
      const { bytes: _bytes, ...head } = store.manifest(name, reference);
      return head;
    },
    async openManifest(reference, options) {
      await turn(options?.signal);
      seen('open-manifest', checkReference(reference));
      return store.manifest(name, reference);
    },
    async headBlob(digest, options) {
      await turn(options?.signal);
      seen('head-blob', checkDigest(digest));
      const bytes = store.blob(name, digest);
      return bytes === undefined ? undefined : { size: bytes.length };
    },
    async openBlob(digest, request) {
      await turn(request?.signal);
      seen('open-blob', checkDigest(digest));
      return openStored(store.blob(name, digest), digest, request ?? {});
    },
    async listTags(options) {
      await turn(options?.signal);
      seen('tags');
      const all = [...store.repository(name).tags.keys()].sort();
      if (all.length === 0) throw new RegistryError('not-found', `no repository ${name}`, { status: 404 });
      const after = options?.last === undefined ? all : all.filter((tag) => tag > options.last!);
      const tags = after.slice(0, options?.n ?? after.length);
      return tags.length < after.length ? { tags, next: tags.at(-1)! } : { tags };
    },
    async listReferrers(digest, options) {
      await turn(options?.signal);
      seen('referrers', checkDigest(digest));
      return store.repository(name).referrers?.(digest);
    },
    async putManifest(reference, bytes, mediaType, options) {
      await turn(options?.signal);
      seen('put-manifest', checkReference(reference));
      return store.putManifest(name, reference, bytes, mediaType);
    },
    async deleteTag(tag, options) {
      await turn(options?.signal);
      if (!isTag(tag)) throw new RegistryError('rejected', `"${tag}" is not a tag`);
      seen('delete-tag', tag);
      return store.repository(name).tags.delete(tag);
    },
    async startUpload(options) {
      await turn(options?.signal);
      seen('upload', options?.mount?.digest);
      const { mount } = options ?? {};
      if (mount !== undefined && store.mount(name, mount.from, mount.digest)) return { mounted: true };
      return { mounted: false, upload: new MemoryUpload(store, name) };
    },
    continueUpload: (location) => new MemoryUpload(store, name, location),
  };
}

class MemoryUpload implements Upload {
  readonly chunkMinBytes = 0;
  readonly #store: MemoryStore;
  readonly #repository: string;
  readonly #id: string;

  constructor(store: MemoryStore, repository: string, id = store.startUpload()) {
    this.#store = store;
    this.#repository = repository;
    this.#id = id;
  }

  get location(): string {
    return this.#id;
  }

  async write(
    source: (sink: ByteSink) => Promise<void>,
    offset: number,
    length: number,
    signal?: AbortSignal,
  ): Promise<void> {
    await turn(signal);
    if (this.#store.upload(this.#id).length !== offset) {
      throw new RegistryError('range-not-satisfiable', 'status 416, RANGE_INVALID', { status: 416 });
    }
    let taken = 0;
    await source((chunk) => {
      if (taken + chunk.length > length)
        throw new RegistryError('too-large', `more bytes than the ${length} announced`);
      taken += chunk.length;
      this.#store.append(this.#id, Buffer.from(chunk));
      return undefined;
    });
    if (taken < length) throw new RegistryError('truncated', `the source ended after ${taken} of ${length} bytes`);
  }

  async putWhole(
    source: (sink: ByteSink) => Promise<void>,
    length: number,
    digest: string,
    signal?: AbortSignal,
  ): Promise<void> {
    if (length > 0) await this.write(source, 0, length, signal);
    await this.commit(digest, signal);
  }

  async commit(digest: string, signal?: AbortSignal): Promise<void> {
    await turn(signal);
    this.#store.putBlob(this.#repository, this.#store.upload(this.#id), digest);
    this.#store.endUpload(this.#id);
  }

  async offset(signal?: AbortSignal): Promise<number> {
    await turn(signal);
    return this.#store.upload(this.#id).length;
  }

  async abort(): Promise<void> {
    await turn();
    this.#store.endUpload(this.#id);
  }
}

function openStored(bytes: Buffer | undefined, digest: string, request: BlobRequest): OpenBlob {
  if (bytes === undefined)
    throw new RegistryError('not-found', `cannot read blob ${digest}: status 404, BLOB_UNKNOWN`, { status: 404 });
  const offset = request.offset ?? 0;
  if (offset > 0 && offset >= bytes.length) {
    throw new RegistryError('range-not-satisfiable', `cannot read blob ${digest}: status 416`, { status: 416 });
  }
  const part = bytes.subarray(offset, (request.end ?? bytes.length - 1) + 1);
  return openBlobOver({
    totalSize: bytes.length,
    offset,
    length: part.length,
    contentType: 'application/octet-stream',
    verify: request.verify === false ? undefined : digest,
    async pump(sink, signal) {
      for (let at = 0; at < part.length; at += 64 * 1024) {
        await turn(signal ?? request.signal);
        await sink(Buffer.from(part.subarray(at, at + 64 * 1024)));
      }
    },
    cancel: () => undefined,
  });
}

/** Lets others run, as a real request would, and notices a caller that gave up. */
async function turn(signal?: AbortSignal): Promise<void> {
  await Promise.resolve();
  if (signal?.aborted === true) throw new RegistryError('aborted', 'aborted by the caller');
}

function checkReference(reference: string): string {
  if (isTag(reference) || isDigest(reference)) return reference;
  throw new RegistryError('rejected', `"${reference.slice(0, 160)}" is neither a tag nor a digest`);
}

function checkDigest(digest: string): string {
  if (isDigest(digest)) return digest;
  throw new RegistryError('rejected', `"${digest.slice(0, 160)}" is not a digest`);
}
