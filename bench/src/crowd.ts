// A crowd: many clients that want the same blob at once through one node proxy, some of them so slow that they take seconds for it.
// Run: node bench/src/crowd.ts [--clients 500] [--slow 50] [--mib 10] [--rounds 3]   (services/node-proxy must be built; needs nginx)
import { parseArgs } from 'node:util';
import { getBlob } from './blob-load.ts';
import { median } from './bulk-case.ts';
import { peakMiB } from './process-cpu.ts';
import { treeCpuSeconds } from './process-tree.ts';
import { startProxyBed, type Target } from './proxy-bed.ts';

const MiB = 1024 * 1024;
const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '500' },
    slow: { type: 'string', default: '50' },
    mib: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '3' },
  },
});
const [clients, slow, bytes, rounds] = [
  Number(values.clients),
  Number(values.slow),
  Number(values.mib) * MiB,
  Number(values.rounds),
];
const BUFFER_BYTES = 64 * 1024;
/** A slow client takes about this long, beside what the sockets hold. */
const SLOW_MS = 8_000;

/** What became of one crowd. */
interface Crowd {
  readonly errors: readonly string[];
  /** Of the clients that were not slow. */
  readonly firstMs: number;
  readonly lastMs: number;
  readonly allMs: number;
  readonly cpuPerGb: number;
}

const bed = await startProxyBed([bytes]);
try {
  const digest = bed.image.blobs.find((blob) => blob.size === bytes)!.digest;
  console.log(`${clients} clients at once, ${values.mib} MiB each, ${slow} of them slow; medians of ${rounds}`);
  console.log('                   contestant   errors   half done s   fast done s   all done s   cpu-s/GB   peak MiB');
  for (const [kind, targets] of [
    ['hit', bed.hits],
    ['miss', bed.misses],
  ] as const) {
    for (const slowOnes of [0, slow]) {
      const seen = new Map(contestants(targets).map((target) => [target, [] as Crowd[]]));
      for (let round = 0; round < rounds; round += 1) {
        for (const [target, crowds] of seen) crowds.push(await crowd(target, digest, slowOnes));
      }
      for (const [target, crowds] of seen) print(`${kind}, ${slowOnes} slow`, target, crowds);
    }
  }
} finally {
  await bed.stop();
}

function contestants(targets: readonly Target[]): Target[] {
  return targets.filter(({ name }) => name === 'node-proxy' || name === 'nginx');
}

/** The same number of fast clients, whether slow ones are among them or not. */
async function crowd(target: Target, digest: string, slowOnes: number): Promise<Crowd> {
  const authorization = target.authorization?.();
  const get = {
    port: target.port,
    path: `${target.base}/blobs/${digest}`,
    bufferBytes: BUFFER_BYTES,
    ...(authorization === undefined ? {} : { authorization }),
  };
  const errors: string[] = [];
  const cpuBefore = treeCpuSeconds(target.pid);
  const began = performance.now();
  const client = async (pace: { pauseMs?: number }): Promise<number> => {
    await getBlob({ ...get, ...pace }).catch((error: unknown) => errors.push(String(error)));
    return performance.now() - began;
  };
  const lazy = Array.from({ length: slowOnes }, () => client({ pauseMs: (SLOW_MS * BUFFER_BYTES) / bytes }));
  const fast = await Promise.all(Array.from({ length: clients - slow }, () => client({})));
  await Promise.all(lazy);
  const allMs = performance.now() - began;
  const gigabytes = ((clients - slow + slowOnes) * bytes) / 1e9;
  const cpuPerGb = (treeCpuSeconds(target.pid) - cpuBefore) / gigabytes;
  return { errors, firstMs: median(fast), lastMs: Math.max(...fast), allMs, cpuPerGb };
}

function print(title: string, { name, pid }: Target, crowds: readonly Crowd[]): void {
  const of = (figure: (crowd: Crowd) => number, digits: number): string => median(crowds.map(figure)).toFixed(digits);
  console.log(
    title.padEnd(19) +
      name.padEnd(11) +
      String(crowds.reduce((sum, { errors }) => sum + errors.length, 0)).padStart(8) +
      of(({ firstMs }) => firstMs / 1000, 2).padStart(14) +
      of(({ lastMs }) => lastMs / 1000, 2).padStart(14) +
      of(({ allMs }) => allMs / 1000, 2).padStart(13) +
      of(({ cpuPerGb }) => cpuPerGb, 2).padStart(11) +
      peakMiB(pid).toFixed(0).padStart(11),
  );
  for (const error of new Set(crowds.flatMap(({ errors }) => errors))) console.log(`  ${error}`);
}
