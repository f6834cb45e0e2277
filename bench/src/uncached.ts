// Manifests that nobody keeps: latency alone, rate under load, and what each costs upstream, by tag and by digest, on the whole local stack with
// TLS upstream. Run: node bench/src/uncached.ts [--requests 100]   (services must be built)
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { LocalStack } from '@kuik/e2e';
import { makeImage } from '@kuik/testbed';
import { median } from './bulk-case.ts';
import { cpuSeconds } from './process-cpu.ts';

const HOST = 'registry.example.test';
const ACCEPT = 'application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json';
/** Before each request of the case `alone`: nothing else is under way, connections stay open. */
const PAUSE_MS = 30;
const CASES = [
  { name: 'alone', clients: 1, pauseMs: PAUSE_MS },
  { name: 'one after another', clients: 1, pauseMs: 0 },
  { name: '16 at once', clients: 16, pauseMs: 0 },
] as const;
const KINDS = ['tag', 'digest', 'tag, bearer token'] as const;

const { values } = parseArgs({ options: { requests: { type: 'string', default: '100' } } });
const requests = Number(values.requests);

/** One image of its own repository that nobody asked for yet. */
interface Fresh {
  readonly path: string;
  readonly digest: string;
}

const stack = await LocalStack.start();
try {
  const fresh: Fresh[] = [];
  for (let index = 0; index < KINDS.length * CASES.length * requests; index += 1) {
    const image = await makeImage({ seed: `fresh-${index}`, layers: [{ bytes: 100, encoding: 'raw' }] });
    await stack.push(HOST, `fresh/app-${index}`, ['1'], image);
    fresh.push({ path: `/v2/${HOST}/fresh/app-${index}/manifests/`, digest: image.digest });
  }
  console.log(
    'by                 case                 req/s   p50 ms   p99 ms   first ms   ms CPU   requests upstream each',
  );
  for (const kind of KINDS) {
    if (kind === 'tag, bearer token') {
      await stack.faults.host(HOST).auth({ scheme: 'bearer', anonymous: ['fresh/*'] });
    }
    for (const { name, clients, pauseMs } of CASES) {
      const urls = fresh
        .splice(0, requests)
        .map(({ path, digest }) => `http://${stack.proxyPrefix}${path}${kind === 'digest' ? digest : '1'}`);
      const proxy = stack.services['node-proxy'][0]!.pid;
      const [cpu, upstream] = [cpuSeconds(proxy), stack.faults.log.total().requests];
      const began = performance.now();
      const times = await ask(urls, clients, pauseMs);
      const seconds = (performance.now() - began) / 1000 - (pauseMs * requests) / 1000;
      const sorted = times.toSorted((a, b) => a - b);
      console.log(
        kind.padEnd(19) +
          name.padEnd(19) +
          (requests / seconds).toFixed(0).padStart(7) +
          median(times).toFixed(1).padStart(9) +
          sorted[Math.floor(sorted.length * 0.99)]!.toFixed(1).padStart(9) +
          times[0]!.toFixed(1).padStart(11) +
          (((cpuSeconds(proxy) - cpu) * 1000) / requests).toFixed(1).padStart(9) +
          ((stack.faults.log.total().requests - upstream) / requests).toFixed(2).padStart(25),
      );
    }
  }
} finally {
  await stack.stop();
}

/** Milliseconds of each request, whole body included; every answer has to be a manifest. */
async function ask(urls: readonly string[], clients: number, pauseMs: number): Promise<number[]> {
  const times: number[] = [];
  const left = [...urls];
  const client = async (): Promise<void> => {
    for (let url = left.shift(); url !== undefined; url = left.shift()) {
      if (pauseMs > 0) await sleep(pauseMs);
      const began = performance.now();
      const answer = await fetch(url, { headers: { accept: ACCEPT } });
      await answer.arrayBuffer();
      if (answer.status !== 200) throw new Error(`${url}: HTTP ${answer.status}`);
      times.push(performance.now() - began);
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return times;
}
