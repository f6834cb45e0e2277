import { getBlob } from './blob-load.ts';
import { treeCpuSeconds, treeResidentMiB } from './process-tree.ts';
import type { Target } from './proxy-bed.ts';

const MiB = 1024 * 1024;
/** A run moves about this much. */
const RUN_BYTES = 512 * MiB;

export interface BulkCase {
  readonly title: string;
  readonly targets: readonly Target[];
  readonly digest: string;
  /** Bytes of one answer. */
  readonly bytes: number;
  readonly clients: number;
  readonly rounds: number;
  readonly range?: string;
}

interface Sample {
  readonly gbPerSecond: number;
  readonly cpuPerGb: number;
  readonly mib: number;
}

/** Figures of one contestant: medians over the rounds, and the most memory that was seen. */
export interface BulkFigures extends Sample {
  readonly name: string;
}

/** Runs a case on every contestant in turn, round after round; a first round is not counted. */
export async function runBulk(bulk: BulkCase): Promise<BulkFigures[]> {
  const samples = new Map<Target, Sample[]>(bulk.targets.map((target) => [target, []]));
  // A process that was just started is not the one that serves a node for weeks: what its compiler does at first is not counted.
  for (const target of bulk.targets) await once(target, bulk);
  for (let round = 0; round < bulk.rounds; round += 1) {
    for (const target of bulk.targets) samples.get(target)!.push(await once(target, bulk));
  }
  return bulk.targets.map((target) => {
    const of = samples.get(target)!;
    return {
      name: target.name,
      gbPerSecond: median(of.map((sample) => sample.gbPerSecond)),
      cpuPerGb: median(of.map((sample) => sample.cpuPerGb)),
      mib: Math.max(...of.map((sample) => sample.mib)),
    };
  });
}

async function once(target: Target, { digest, bytes, clients, range }: BulkCase): Promise<Sample> {
  const perClient = Math.min(512, Math.max(1, Math.ceil(RUN_BYTES / bytes / clients)));
  const authorization = target.authorization?.();
  const get = {
    port: target.port,
    path: `${target.base}/blobs/${digest}`,
    ...(authorization === undefined ? {} : { authorization }),
    ...(range === undefined ? {} : { range }),
  };
  let mib = 0;
  const look = (): void => void (mib = Math.max(mib, treeResidentMiB(target.pid)));
  const watch = setInterval(look, 100);
  const cpuBefore = treeCpuSeconds(target.pid);
  const began = performance.now();
  const client = async (): Promise<number> => {
    let sum = 0;
    for (let at = 0; at < perClient; at += 1) sum += await getBlob(get);
    return sum;
  };
  const sums = await Promise.all(Array.from({ length: clients }, client));
  const seconds = (performance.now() - began) / 1000;
  clearInterval(watch);
  look();
  const gb = sums.reduce((sum, one) => sum + one, 0) / 1e9;
  return { gbPerSecond: gb / seconds, cpuPerGb: (treeCpuSeconds(target.pid) - cpuBefore) / gb, mib };
}

export function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}
