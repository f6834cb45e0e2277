import { afterAll, beforeAll, expect, it } from '@jest/globals';
import {
  makeImage,
  pushImage,
  startCacheRegistry,
  startUpstreamRegistry,
  type CacheRegistry,
  type UpstreamRegistry,
} from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const MiB = 1024 * 1024;
/** Buffers of the streams of one copy, and what a garbage collector leaves lying about. */
const GROWTH_MAX = 48 * MiB;
const LARGE = sized({ usual: 160 * MiB, full: 1024 * MiB });

let upstream: UpstreamRegistry;
let cache: CacheRegistry;

beforeAll(async () => {
  [upstream, cache] = await Promise.all([startUpstreamRegistry(), startCacheRegistry()]);
});
afterAll(async () => {
  await Promise.all([upstream.stop(), cache.stop()]);
});

/** Copies an image with one layer of `bytes` in a process of its own; gives that process's largest resident set. */
async function peakOf(bytes: number): Promise<number> {
  const repository = `memory/${bytes}`;
  const image = await makeImage({ seed: repository, layers: [{ bytes, encoding: 'raw' }] });
  await pushImage(upstream.url, repository, ['v1'], image);
  const { issuer, audience, privateKey: keyPem, certificate: certificatePem } = cache.writerKey;
  const signer = { issuer, audience, keyPem, certificatePem, actions: ['pull', 'push'] };
  const job = { source: { host: upstream.host, repository }, cache: { url: cache.writerUrl, signer } };
  const script = fileURLToPath(new URL('./testing/copy-once.ts', import.meta.url));
  const child = spawn(process.execPath, [script, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  expect(await new Promise((resolve) => child.once('close', resolve))).toBe(0);
  const seen = JSON.parse(output) as { digest: string; bytesCopied: number; peakRss: number };
  expect(seen).toMatchObject({ digest: image.digest, bytesCopied: image.bytes - image.root.size });
  return seen.peakRss;
}

it('copies in memory that does not depend on the size of a blob', async () => {
  const small = await peakOf(1 * MiB);
  const large = await peakOf(LARGE);
  expect(large - small).toBeLessThan(GROWTH_MAX);
}, 120_000);
