import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { rawZstd, storedGzip } from './compression.ts';
import { seededBytes } from './seeded-bytes.ts';
import { seededTar } from './tar.ts';

export type LayerEncoding =
  | 'gzip'
  | 'tar'
  | 'zstd'
  /** The blob is exactly `bytes` pseudo-random bytes: right for benchmarks, but no client can unpack it. */
  | 'raw';

export interface LayerSpec {
  /** Bytes of the one file in the layer (of the whole blob when `raw`). */
  readonly bytes: number;
  /** Layers of equal seed, bytes and encoding are the same blob. Default: the image's seed and the layer's place. */
  readonly seed?: string;
  /** Default gzip. */
  readonly encoding?: LayerEncoding;
  /** Foreign layer: its descriptor carries these URLs and pushImage leaves the bytes out. */
  readonly urls?: readonly string[];
}

/** A number is `{ bytes }`; `empty` is the well-known gzip of an empty tar, 32 bytes. */
export type LayerInput = number | 'empty' | LayerSpec;

/** What a descriptor and a config say about a layer. */
export interface LayerFacts {
  readonly digest: string;
  /** Digest of the uncompressed tar. */
  readonly diffId: string;
  readonly size: number;
}

/** Bytes that can be made again at will and are never held as a whole. */
export interface MadeLayer extends LayerFacts {
  readonly encoding: LayerEncoding;
  readonly urls?: readonly string[];
  open(): Iterable<Buffer>;
}

/** gzip of 1024 zeros, as Docker has always written it: sha256:a3ed95ca.. */
const EMPTY_LAYER = Buffer.from('1f8b080000096e8800ff621805a360148c5800080000ffff2eafb5ef00040000', 'hex');

const known = new Map<string, Promise<LayerFacts>>();

/** A layer by its seed and size. Its digests are computed by streaming once per process. */
export async function makeLayer(input: LayerInput, defaultSeed: string): Promise<MadeLayer> {
  if (input === 'empty') {
    const facts = await factsOf(
      'empty',
      () => [EMPTY_LAYER],
      () => [Buffer.alloc(1024)],
    );
    return { ...facts, encoding: 'gzip', open: () => [EMPTY_LAYER] };
  }
  const spec: LayerSpec = typeof input === 'number' ? { bytes: input } : input;
  const { bytes, seed = defaultSeed, encoding = 'gzip' } = spec;
  if (!Number.isSafeInteger(bytes) || bytes < 0)
    throw new RangeError(`a layer holds a whole number of bytes, not ${bytes}`);
  const plain = (): Iterable<Buffer> =>
    encoding === 'raw' ? seededBytes(seed, bytes) : seededTar(`data-${fileSafe(seed)}`, seed, bytes);
  const open = (): Iterable<Buffer> =>
    encoding === 'gzip' ? storedGzip(plain()) : encoding === 'zstd' ? rawZstd(plain()) : plain();
  const facts = await factsOf(
    `${encoding}:${bytes}:${seed}`,
    open,
    encoding === 'gzip' || encoding === 'zstd' ? plain : undefined,
  );
  return { ...facts, encoding, open, ...(spec.urls === undefined ? {} : { urls: spec.urls }) };
}

function factsOf(key: string, open: () => Iterable<Buffer>, plain?: () => Iterable<Buffer>): Promise<LayerFacts> {
  let facts = known.get(key);
  if (facts === undefined) {
    facts = computeFacts(open, plain);
    known.set(key, facts);
  }
  return facts;
}

async function computeFacts(open: () => Iterable<Buffer>, plain?: () => Iterable<Buffer>): Promise<LayerFacts> {
  const { digest, size } = await digestStream(open());
  return { digest, size, diffId: plain === undefined ? digest : (await digestStream(plain())).digest };
}

/** Digest and size of bytes that come in chunks; lets other work run between chunks. */
export async function digestStream(source: Iterable<Buffer>): Promise<{ digest: string; size: number }> {
  const hash = createHash('sha256');
  let size = 0;
  for (const chunk of source) {
    hash.update(chunk);
    size += chunk.length;
    if (chunk.length >= 65_536) await setImmediate();
  }
  return { digest: `sha256:${hash.digest('hex')}`, size };
}

function fileSafe(seed: string): string {
  return seed.replace(/[^A-Za-z0-9.-]+/g, '-').slice(0, 80);
}
