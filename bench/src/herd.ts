// A herd: clients that want one blob at the same time which nobody has yet, through node proxy and copiers, straight from upstream, and through
// Distribution's own pull-through. Run: node bench/src/herd.ts [--clients 16] [--mib 256] [--rounds 3]   (services must be built)
import { get as getPlain, type IncomingMessage } from 'node:http';
import { get as getEncrypted } from 'node:https';
import { parseArgs } from 'node:util';
import { LocalStack } from '@kuik/e2e';
import { makeImage, until } from '@kuik/testbed';
import { median } from './bulk-case.ts';
import { cpuSeconds, peakMiB } from './process-cpu.ts';
import { startPullThrough } from './pull-through.ts';

const HOST = 'registry.example.test';
const MiB = 1024 * 1024;
/** How often one client alone is asked for the time to its first byte. */
const ALONE = 9;

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '16' },
    mib: { type: 'string', default: '256' },
    rounds: { type: 'string', default: '3' },
  },
});
const [clients, bytes, rounds] = [Number(values.clients), Number(values.mib) * MiB, Number(values.rounds)];

interface Contestant {
  readonly name: string;
  readonly url: (repository: string, digest: string) => string;
  /** Processes whose CPU is counted. */
  readonly pids: readonly number[];
}

interface Got {
  readonly firstMs: number;
  readonly bytes: number;
}

const stack = await LocalStack.start();
const { ca } = (stack.faults.registries() as Record<string, { ca: string }>)[HOST]!;
const upstream = stack.faults.host(HOST);
const through = await startPullThrough(upstream.url, ca);
const proxy = stack.services['node-proxy'][0]!;
const copiers = stack.services['image-copier'];
const contestants: Contestant[] = [
  { name: 'direct', url: (repository, digest) => `${upstream.url}/v2/${repository}/blobs/${digest}`, pids: [] },
  {
    name: 'node-proxy + copiers',
    url: (repository, digest) => `http://${stack.proxyPrefix}/v2/${HOST}/${repository}/blobs/${digest}`,
    pids: [proxy.pid, ...copiers.map(({ pid }) => pid)],
  },
  {
    name: 'registry (proxy)',
    url: (repository, digest) => `http://127.0.0.1:${through.port}/v2/${repository}/blobs/${digest}`,
    pids: [through.pid],
  },
];

try {
  await until(async () => (await stack.metric(proxy, 'kuik_proxy_transfer_owners')) === copiers.length, {
    what: 'the proxy to know the copiers',
  });
  console.log(`first byte of one client, 1 MiB that nobody has, median of ${ALONE}`);
  const alone = new Map(contestants.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < ALONE; round += 1) {
    for (const { name, url } of contestants) {
      const { repository, digest } = await fresh(MiB);
      alone.get(name)!.push((await read(url(repository, digest), MiB)).firstMs);
    }
  }
  for (const [name, times] of alone) console.log(`  ${name.padEnd(22)}${median(times).toFixed(1).padStart(8)} ms`);

  console.log(`\n${clients} clients at once, ${values.mib} MiB that nobody has, medians of ${rounds}`);
  console.log('                        upstream x   first ms (p50)   first ms (max)   seconds   cpu-s/GB delivered');
  const seen = new Map(contestants.map(({ name }) => [name, [] as number[][]]));
  for (let round = 0; round < rounds; round += 1) {
    for (const { name, url, pids } of contestants) {
      const { repository, digest } = await fresh(bytes);
      const cpu = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0);
      const began = performance.now();
      const got = await Promise.all(Array.from({ length: clients }, () => read(url(repository, digest), bytes)));
      const seconds = (performance.now() - began) / 1000;
      const used = pids.reduce((sum, pid) => sum + cpuSeconds(pid), 0) - cpu;
      const first = got.map(({ firstMs }) => firstMs).sort((a, b) => a - b);
      const gigabytes = (clients * bytes) / 1e9;
      seen.get(name)!.push([egress(digest) / bytes, median(first), first.at(-1)!, seconds, used / gigabytes]);
    }
  }
  for (const [name, rows] of seen) {
    const of = (column: number, digits: number): string => median(rows.map((row) => row[column]!)).toFixed(digits);
    console.log(
      name.padEnd(22) +
        of(0, 2).padStart(12) +
        of(1, 0).padStart(17) +
        of(2, 0).padStart(17) +
        of(3, 1).padStart(10) +
        (name === 'direct' ? '-' : of(4, 2)).padStart(21),
    );
  }
  const peaks = [proxy, ...copiers].map((process) => `${process.name} ${peakMiB(process.pid).toFixed(0)}`);
  console.log(`\npeak MiB: ${peaks.join(', ')}, registry (proxy) ${peakMiB(through.pid).toFixed(0)}`);
} finally {
  await through.stop();
  await stack.stop();
}

/** A blob upstream that no contestant has heard of. */
async function fresh(size: number): Promise<{ repository: string; digest: string }> {
  const seed = `herd-${performance.now()}`;
  const made = await makeImage({ seed, layers: [{ bytes: size, encoding: 'raw' }] });
  const repository = `herd/${seed.replace('.', '-')}`;
  await stack.push(HOST, repository, ['1'], made);
  stack.faults.log.reset();
  return { repository, digest: made.blobs.find((blob) => blob.size === size)!.digest };
}

function egress(digest: string): number {
  const reads = stack.faults.log.requests({ kind: 'blob', method: 'GET' });
  return reads.filter(({ reference }) => reference === digest).reduce((sum, read) => sum + read.bytes, 0);
}

function read(url: string, size: number): Promise<Got> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    let [firstMs, got] = [0, 0];
    const take = (answer: IncomingMessage): void => {
      answer.on('data', (chunk: Buffer) => {
        if (got === 0) firstMs = performance.now() - began;
        got += chunk.length;
      });
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode === 200 && got === size) resolve({ firstMs, bytes: got });
        else reject(new Error(`${url}: HTTP ${answer.statusCode}, ${got} of ${size} bytes`));
      });
    };
    const request = url.startsWith('https:')
      ? getEncrypted(url, { ca, agent: false }, take)
      : getPlain(url, { agent: false }, take);
    request.on('error', reject);
  });
}
