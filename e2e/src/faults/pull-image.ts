import { createHash } from 'node:crypto';

/** Where an image is pulled from and what a pull must bring. */
export interface WantedImage {
  /** `http://localhost:7439/v2/registry.example.test/app` */
  readonly url: string;
  /** A tag or a digest. */
  readonly reference: string;
  readonly digest: string;
  /** Digests of all its manifests, and of its configs and layers. */
  readonly manifests: readonly string[];
  readonly blobs: readonly string[];
}

/** A body on its way. */
export interface Body {
  /** Bytes read so far. */
  bytes: number;
}

/** What a pull did not bring, in words for a person. */
export class PullBroken extends Error {}

const ANSWER_MS = 15_000;
const MiB = 1024 * 1024;
/** A body is read at about 16 MiB a second: slower than a disk, so that large layers are on their way for seconds. */
const PAUSE_MS_PER_MIB = 60;
const ACCEPT = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';

/**
 * Pulls a whole image as a container runtime does: the manifest, for an index each child, then configs and layers three at a time. Every
 * byte is hashed against the digest that names it, and what came is compared with what was pushed. `underWay` holds the bodies that are
 * being read. Rejects with PullBroken; an abort passes as it is.
 */
export async function pullImage(
  wanted: WantedImage,
  signal: AbortSignal,
  underWay: Set<Body> = new Set(),
): Promise<void> {
  const manifests = new Set<string>();
  const blobs = new Set<string>();
  const walk = async (reference: string, digest: string): Promise<void> => {
    manifests.add(digest);
    const bytes = await read(`${wanted.url}/manifests/${reference}`, digest, signal);
    const { manifests: children = [], config, layers = [] } = JSON.parse(bytes.toString()) as Manifest;
    for (const child of children) await walk(child.digest, child.digest);
    for (const { digest: blob } of config === undefined ? layers : [config, ...layers]) blobs.add(blob);
  };
  await walk(wanted.reference, wanted.digest);
  const waiting = [...blobs];
  const worker = async (): Promise<void> => {
    for (let digest = waiting.shift(); digest !== undefined; digest = waiting.shift())
      await hashed(`${wanted.url}/blobs/${digest}`, digest, signal, { underWay });
  };
  await Promise.all([worker(), worker(), worker()]);
  for (const [what, got, expected] of [
    ['manifests', manifests, wanted.manifests],
    ['blobs', blobs, wanted.blobs],
  ] as const) {
    const missing = expected.filter((digest) => !got.has(digest));
    if (missing.length > 0 || got.size !== expected.length)
      throw new PullBroken(`${got.size} of ${expected.length} ${what}`);
  }
}

interface Manifest {
  readonly manifests?: readonly { readonly digest: string }[];
  readonly config?: { readonly digest: string };
  readonly layers?: readonly { readonly digest: string }[];
}

async function read(url: string, digest: string, signal: AbortSignal): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  await hashed(url, digest, signal, { take: (chunk) => chunks.push(chunk) });
  return Buffer.concat(chunks);
}

/** Reads one body at a client's pace and compares its digest. */
async function hashed(
  url: string,
  digest: string,
  signal: AbortSignal,
  { take, underWay }: { take?: (chunk: Uint8Array) => void; underWay?: Set<Body> },
): Promise<void> {
  const what = url.slice(url.indexOf('/v2/'));
  const hash = createHash('sha256');
  const body: Body = { bytes: 0 };
  underWay?.add(body);
  try {
    const answer = await fetch(url, {
      headers: { accept: ACCEPT },
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)]),
    });
    if (answer.status !== 200) throw new PullBroken(`${answer.status} ${(await answer.text()).slice(0, 300)}`);
    for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) {
      hash.update(chunk);
      take?.(chunk);
      const before = body.bytes;
      body.bytes += chunk.length;
      if (Math.floor(body.bytes / MiB) > Math.floor(before / MiB)) await pause(PAUSE_MS_PER_MIB);
    }
  } catch (error) {
    signal.throwIfAborted();
    const { name, message, cause } = error as Error;
    const why = error instanceof PullBroken ? message : `${name}: ${cause instanceof Error ? cause.message : message}`;
    throw new PullBroken(`${what} after ${body.bytes} bytes: ${why}`, { cause: error });
  } finally {
    underWay?.delete(body);
  }
  const got = `sha256:${hash.digest('hex')}`;
  if (got !== digest) throw new PullBroken(`${what}: wrong bytes, ${body.bytes} of them are ${got}`);
}

/** The pace of a slow client is part of the script: nothing is waited for. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
