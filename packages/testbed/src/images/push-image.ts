import { digestOf } from '@kuik/image';
import { Readable } from 'node:stream';
import { request, type Dispatcher } from 'undici';
import { indexOf, type Descriptor, type MadeBlob, type MadeImage, type MadeManifest } from './image.ts';
import { MANIFEST_TYPES, MEDIA_TYPES } from './media-types.ts';
import { CHUNK_BYTES } from './seeded-bytes.ts';

export interface PushOptions {
  /** Value of the Authorization header. */
  readonly authorization?: string;
  /** For a private CA, or to count connections. */
  readonly dispatcher?: Dispatcher;
  readonly signal?: AbortSignal;
  /** Blobs at a time. Default 4. */
  readonly concurrency?: number;
}

export interface PushedImage {
  readonly repository: string;
  readonly tags: readonly string[];
  readonly digest: string;
  /** `linux/amd64` -> digest. */
  readonly platforms: Readonly<Record<string, string>>;
  /** Digests of every manifest pushed, the root last. */
  readonly manifests: readonly string[];
  /** Digest -> size of every blob of the image. */
  readonly blobs: Readonly<Record<string, number>>;
  /** Bytes of all blobs and manifests. */
  readonly bytes: number;
}

/**
 * Pushes a made image to `registryUrl` (`http://127.0.0.1:5000`) by the distribution protocol: blobs that are not there yet by
 * POST and PUT, manifests by digest, children first, then the tags. Rejects with the registry's own words when it refuses.
 */
export async function pushImage(
  registryUrl: string,
  repository: string,
  tags: readonly string[],
  image: MadeImage,
  options: PushOptions = {},
): Promise<PushedImage> {
  const base = new URL(`/v2/${repository}/`, registryUrl);
  const waiting = [...image.blobs];
  const worker = async (): Promise<void> => {
    for (let blob = waiting.shift(); blob !== undefined; blob = waiting.shift()) await pushBlob(base, blob, options);
  };
  await Promise.all(Array.from({ length: options.concurrency ?? 4 }, worker));
  for (const manifest of image.manifests) await putManifest(base, manifest.digest, manifest, options);
  for (const tag of tags) await putManifest(base, tag, image.root, options);
  return {
    repository,
    tags,
    digest: image.digest,
    platforms: image.platforms,
    manifests: image.manifests.map(({ digest }) => digest),
    blobs: Object.fromEntries(image.blobs.map(({ digest, size }) => [digest, size])),
    bytes: image.bytes,
  };
}

/**
 * Pushes an artifact and adds it to its subject's fallback index, the tag `sha256-<hex>`, for registries without a referrers API
 * (OCI distribution spec, "Referrers Tag Schema"). Returns the fallback index's digest.
 */
export async function pushReferrer(
  registryUrl: string,
  repository: string,
  subject: Descriptor,
  artifact: MadeImage,
  options: PushOptions = {},
): Promise<string> {
  await pushImage(registryUrl, repository, [], artifact, options);
  const base = new URL(`/v2/${repository}/`, registryUrl);
  const tag = subject.digest.replace(':', '-');
  const found = await send(new URL(`manifests/${tag}`, base), 'GET', options, { accept: MEDIA_TYPES.oci.index });
  const known = found.statusCode === 200 ? ((await found.body.json()) as { manifests: Descriptor[] }).manifests : [];
  if (found.statusCode !== 200) await found.body.dump();
  const { artifactType } = JSON.parse(artifact.root.bytes.toString()) as { artifactType?: string };
  const entry = {
    mediaType: artifact.root.mediaType,
    digest: artifact.digest,
    size: artifact.root.size,
    ...(artifactType === undefined ? {} : { artifactType }),
  };
  const manifests = [...known.filter(({ digest }) => digest !== artifact.digest), entry];
  const index = indexOf([]).root;
  const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: index.mediaType, manifests }));
  const fallback = { ...index, bytes, size: bytes.length, digest: digestOf(bytes) };
  await putManifest(base, tag, fallback, options);
  return fallback.digest;
}

async function pushBlob(base: URL, blob: MadeBlob, options: PushOptions): Promise<void> {
  const head = await send(new URL(`blobs/${blob.digest}`, base), 'HEAD', options);
  await head.body.dump();
  if (head.statusCode === 200) return;
  const started = await send(new URL('blobs/uploads/', base), 'POST', options, { 'content-length': '0' });
  await expectStatus(started, 202, `start an upload to ${base.pathname}`);
  const location = started.headers['location'];
  if (typeof location !== 'string') throw new Error(`${base.host} started an upload without a Location`);
  const target = new URL(location, base);
  target.searchParams.set('digest', blob.digest);
  const body = Readable.from(blob.open(), { objectMode: false, highWaterMark: CHUNK_BYTES });
  const headers = { 'content-length': String(blob.size), 'content-type': 'application/octet-stream' };
  await expectStatus(await send(target, 'PUT', options, headers, body), 201, `put blob ${blob.digest}`);
}

async function putManifest(base: URL, reference: string, manifest: MadeManifest, options: PushOptions): Promise<void> {
  const headers = { 'content-type': manifest.mediaType };
  const answer = await send(new URL(`manifests/${reference}`, base), 'PUT', options, headers, manifest.bytes);
  await expectStatus(answer, 201, `put manifest ${reference} in ${base.pathname}`);
}

function send(
  url: URL,
  method: Dispatcher.HttpMethod,
  { authorization, dispatcher, signal }: PushOptions,
  headers: Record<string, string> = { accept: MANIFEST_TYPES.join(', ') },
  body?: Readable | Buffer,
): Promise<Dispatcher.ResponseData> {
  return request(url, {
    method,
    headers: { ...headers, ...(authorization === undefined ? {} : { authorization }) },
    ...(body === undefined ? {} : { body }),
    ...(dispatcher === undefined ? {} : { dispatcher }),
    ...(signal === undefined ? {} : { signal }),
  });
}

async function expectStatus(answer: Dispatcher.ResponseData, status: number, what: string): Promise<void> {
  const text = await answer.body.text();
  if (answer.statusCode !== status) throw new Error(`cannot ${what}: HTTP ${answer.statusCode} ${text.slice(0, 300)}`);
}
