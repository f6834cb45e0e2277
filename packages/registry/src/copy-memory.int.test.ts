import { afterAll, beforeAll, expect, it } from '@jest/globals';
import {
  makeImage,
  startCacheRegistry,
  startUpstreamRegistry,
  type CacheRegistry,
  type UpstreamRegistry,
  pushImage,
} from '@kuik/testbed';
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const LAYER = 1024 * 1024 * 1024;
const RSS_MAX = 220 * 1024 * 1024;

let upstream: UpstreamRegistry;
let cache: CacheRegistry;

beforeAll(async () => {
  [upstream, cache] = await Promise.all([startUpstreamRegistry(), startCacheRegistry()]);
});
afterAll(async () => {
  await Promise.all([upstream.stop(), cache.stop()]);
});

it('copies a layer of 1 GiB in memory that does not depend on its size', async () => {
  const image = await makeImage({ seed: 'large', layers: [{ bytes: LAYER, encoding: 'raw' }] });
  await pushImage(upstream.url, 'large/app', ['v1'], image);
  const script = fileURLToPath(new URL('./testing/copy-once.ts', import.meta.url));
  const { writerKey: key } = cache;
  const job = {
    source: { host: upstream.host, repository: 'large/app' },
    cache: {
      url: cache.writerUrl,
      signer: {
        issuer: key.issuer,
        audience: key.audience,
        keyPem: key.privateKey,
        certificatePem: key.certificate,
        actions: ['pull', 'push'],
      },
    },
  };
  const child = spawn(process.execPath, [script, JSON.stringify(job)], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  expect(code).toBe(0);
  const seen = JSON.parse(output) as { digest: string; bytesCopied: number; peakRss: number; cpuSeconds: number };
  expect(seen).toMatchObject({ digest: image.digest, bytesCopied: image.bytes - image.root.size });
  expect(seen.peakRss).toBeLessThan(RSS_MAX);
}, 120_000);
