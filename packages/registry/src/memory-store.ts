import { digestOf, isTag, parseDigest } from '@kuik/image';
import { RegistryError } from './errors.ts';
import { readManifest, type Descriptor } from './plan.ts';
import type { Manifest } from './port.ts';

/** One repository's contents: which of the registry's blobs it may show, its manifests by digest, its tags. */
interface StoredRepository {
  blobs: Set<string>;
  manifests: Map<string, { bytes: Buffer; mediaType: string }>;
  tags: Map<string, string>;
  referrers?: (digest: string) => Descriptor[];
}

/** The contents of one in-memory registry, with Distribution's rules: blobs are linked per repository, an image's blobs must exist. */
export class MemoryStore {
  readonly #repositories = new Map<string, StoredRepository>();
  readonly #blobs = new Map<string, Buffer>();
  #sessions = 0;
  readonly #uploads = new Map<string, Buffer>();

  repository(name: string): StoredRepository {
    let repository = this.#repositories.get(name);
    if (repository === undefined) {
      repository = { blobs: new Set(), manifests: new Map(), tags: new Map() };
      this.#repositories.set(name, repository);
    }
    return repository;
  }

  blob(name: string, digest: string): Buffer | undefined {
    return this.repository(name).blobs.has(digest) ? this.#blobs.get(digest) : undefined;
  }

  putBlob(name: string, bytes: Buffer, digest: string): void {
    if (digestOf(bytes, parseDigest(digest)?.algorithm) !== digest) {
      throw new RegistryError('rejected', `blob ${digest}: status 400, DIGEST_INVALID`, { status: 400 });
    }
    this.#blobs.set(digest, bytes);
    this.repository(name).blobs.add(digest);
  }

  mount(name: string, from: string, digest: string): boolean {
    if (this.blob(from, digest) === undefined) return false;
    this.repository(name).blobs.add(digest);
    return true;
  }

  manifest(name: string, reference: string): Manifest {
    const repository = this.repository(name);
    const digest = isTag(reference) ? repository.tags.get(reference) : reference;
    const held = digest === undefined ? undefined : repository.manifests.get(digest);
    if (digest === undefined || held === undefined) {
      throw new RegistryError('not-found', `cannot read ${name}:${reference}: status 404, MANIFEST_UNKNOWN`, {
        status: 404,
      });
    }
    return { digest, mediaType: held.mediaType, size: held.bytes.length, bytes: Buffer.from(held.bytes) };
  }

  putManifest(name: string, reference: string, bytes: Buffer, mediaType: string): string {
    const algorithm = parseDigest(reference)?.algorithm;
    const digest = digestOf(bytes, algorithm);
    const refuse = (why: string) =>
      new RegistryError('rejected', `cannot write ${name}:${reference}: status 400, ${why}`, { status: 400 });
    if (algorithm !== undefined && digest !== reference) throw refuse('DIGEST_INVALID');
    const { kind, blobs } = readManifest({ bytes, mediaType, digest });
    const missing = blobs.find((blob) => this.blob(name, blob.digest) === undefined && (blob.urls?.length ?? 0) === 0);
    if (kind === 'image' && missing !== undefined) throw refuse(`MANIFEST_BLOB_UNKNOWN: ${missing.digest}`);
    const repository = this.repository(name);
    repository.manifests.set(digest, { bytes: Buffer.from(bytes), mediaType });
    if (algorithm === undefined) repository.tags.set(reference, digest);
    return digest;
  }

  startUpload(): string {
    this.#sessions += 1;
    const id = String(this.#sessions);
    this.#uploads.set(id, Buffer.alloc(0));
    return id;
  }

  upload(id: string): Buffer {
    const bytes = this.#uploads.get(id);
    if (bytes === undefined) throw new RegistryError('not-found', 'status 404, BLOB_UPLOAD_UNKNOWN', { status: 404 });
    return bytes;
  }

  append(id: string, bytes: Buffer): void {
    this.#uploads.set(id, Buffer.concat([this.upload(id), bytes]));
  }

  endUpload(id: string): void {
    this.#uploads.delete(id);
  }
}
