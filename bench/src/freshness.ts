// What a tag's freshness costs: manifests pulled by a tag that is checked at each pull, at intervals, or never, beside the same by digest, from an
// upstream that answers at once and one that takes 50 ms; whole local stack, TLS upstream, everything cached.
// Run: node bench/src/freshness.ts [--pulls 20]   (services must be built)
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { GROUP, VERSION, type CachedImage } from '@kuik/contracts';
import { LocalStack, pod } from '@kuik/e2e';
import { makeImage, until } from '@kuik/testbed';
import { median } from './bulk-case.ts';

const HOST = 'registry.example.test';
const ACCEPT = 'application/vnd.oci.image.manifest.v1+json';
/** Upstream is asked no more often; pulls that come one by one are further apart, so that each of them may ask. */
const AT_MOST_EVERY_MS = 200;
const APART_MS = 250;
/** A deployment's pods start together on a node. */
const BURST = 16;
const LATENCIES_MS = [0, 50];
const MODES = ['Always', 'Interval', 'Never'] as const;
type Mode = (typeof MODES)[number];

const { values } = parseArgs({ options: { pulls: { type: 'string', default: '20' } } });
const pulls = Number(values.pulls);

interface Way {
  readonly name: string;
  readonly url: string;
}

const stack = await LocalStack.start({ environment: { KUIK_TAGS_AT_MOST_EVERY: `${AT_MOST_EVERY_MS}ms` } });
try {
  const ways: Way[] = [];
  for (const mode of MODES) ways.push(await kept(mode));
  const digest = await digestOf(ways.at(-1)!.url);
  ways.push({ name: 'by digest', url: ways.at(-1)!.url.replace(/[^/]+$/, digest) });

  console.log(`                        ${pulls} pulls, one by one                    ${BURST} at once`);
  console.log('upstream   pulled      p50 ms   max ms   upstream each     p50 ms   max ms   upstream');
  for (const latencyMs of LATENCIES_MS) {
    const slow = latencyMs === 0 ? undefined : stack.faults.host(HOST).on({}).latency(latencyMs);
    for (const { name, url } of ways) {
      await pull(url);
      await sleep(APART_MS);
      stack.faults.log.reset();
      const apart: number[] = [];
      for (let count = 0; count < pulls; count += 1) {
        apart.push(await pull(url));
        await sleep(APART_MS);
      }
      const each = asked() / pulls;
      stack.faults.log.reset();
      const burst = await Promise.all(Array.from({ length: BURST }, () => pull(url)));
      const figures = [median(apart), Math.max(...apart), each, median(burst), Math.max(...burst), asked()];
      const widths = [9, 9, 16, 11, 9, 11];
      const digits = [1, 1, 2, 1, 1, 0];
      console.log(
        `${latencyMs} ms`.padEnd(11) +
          name.padEnd(10) +
          figures.map((figure, at) => figure.toFixed(digits[at]).padStart(widths[at]!)).join(''),
      );
    }
    slow?.clear();
  }
} finally {
  await stack.stop();
}

/** An image that is cached, and whose tag is checked in this way as far as the node proxy knows. */
async function kept(mode: Mode): Promise<Way> {
  const repository = `fresh-${mode.toLowerCase()}`;
  const reference = `${HOST}/${repository}:1`;
  await stack.push(HOST, repository, ['1'], await makeImage({ seed: repository }));
  await stack.api.create('/api/v1/namespaces/default/pods', pod(repository, [{ name: 'app', image: reference }]));
  const there = await resourceOf('repositories', ({ spec }) => spec.name === `${HOST}/${repository}`);
  await stack.api.apply({
    apiVersion: `${GROUP}/${VERSION}`,
    kind: 'Repository',
    metadata: { name: there.metadata.name },
    spec: { name: there.spec.name, checkOnPull: mode, ...(mode === 'Interval' ? { checkInterval: '10m' } : {}) },
  });
  await resourceOf('cachedimages', ({ spec, status }) => {
    const { phase, check } = status ?? {};
    return spec.sourceImage === reference && phase === 'Ready' && (check?.mode ?? 'Never') === mode;
  });
  const url = `http://${stack.proxyPrefix}/v2/${HOST}/${repository}/manifests/1`;
  const asks = async (): Promise<boolean> => {
    stack.faults.log.reset();
    await pull(url);
    await sleep(APART_MS);
    await pull(url);
    return mode === 'Always' ? asked() > 0 : asked() === 0;
  };
  await until(asks, { what: `the node proxy to check ${reference}: ${mode}`, everyMs: 50 });
  return { name: mode, url };
}

function resourceOf(plural: string, wanted: (object: CachedImage & { spec: { name?: string } }) => boolean) {
  return until(
    async () =>
      (await stack.api.list<CachedImage & { spec: { name?: string } }>(`/apis/${GROUP}/${VERSION}/${plural}`)).find(
        wanted,
      ),
    { what: `one of ${plural}`, everyMs: 50 },
  );
}

function asked(): number {
  return stack.faults.log.requests({ host: HOST, kind: 'manifest' }).length;
}

async function digestOf(url: string): Promise<string> {
  const answer = await fetch(url, { method: 'HEAD', headers: { accept: ACCEPT } });
  return answer.headers.get('docker-content-digest')!;
}

/** Milliseconds until the whole manifest was there. */
async function pull(url: string): Promise<number> {
  const began = performance.now();
  const answer = await fetch(url, { headers: { accept: ACCEPT } });
  await answer.arrayBuffer();
  if (answer.status !== 200) throw new Error(`${url}: HTTP ${answer.status}`);
  return performance.now() - began;
}
