import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { median } from './bulk-case.ts';
import { treeCpuSeconds } from './process-tree.ts';
import type { Target } from './proxy-bed.ts';

const run = promisify(execFile);
const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

export interface SmallCase {
  readonly targets: readonly Target[];
  /** Behind the target's base: `/manifests/1`. */
  readonly path: string;
  readonly clients: number;
  readonly rounds: number;
  readonly seconds: number;
}

export interface SmallFigures {
  readonly name: string;
  readonly perSecond: number;
  /** CPU ms of the contestant per request. */
  readonly cpuMs: number;
  readonly p99Ms: number;
}

/** Requests per second by wrk, every contestant in turn, round after round. Throws when an answer was an error. */
export async function runSmall({ targets, path, clients, rounds, seconds }: SmallCase): Promise<SmallFigures[]> {
  const samples = new Map<Target, Omit<SmallFigures, 'name'>[]>(targets.map((target) => [target, []]));
  for (let round = 0; round < rounds; round += 1) {
    for (const target of targets) {
      const authorization = target.authorization?.();
      const headers = [
        '-H',
        `Accept: ${ACCEPT}`,
        ...(authorization === undefined ? [] : ['-H', `Authorization: ${authorization}`]),
      ];
      const url = `http://127.0.0.1:${target.port}${target.base}${path}`;
      const cpuBefore = treeCpuSeconds(target.pid);
      const { stdout } = await run('wrk', ['-t1', `-c${clients}`, `-d${seconds}s`, '--latency', ...headers, url]);
      const cpu = treeCpuSeconds(target.pid) - cpuBefore;
      if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${target.name} ${path}: ${stdout}`);
      const requests = Number(/(\d+) requests in/.exec(stdout)?.[1]);
      samples.get(target)!.push({
        perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1]),
        cpuMs: (cpu * 1000) / requests,
        p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)),
      });
    }
  }
  return targets.map((target) => {
    const of = samples.get(target)!;
    return {
      name: target.name,
      perSecond: median(of.map((sample) => sample.perSecond)),
      cpuMs: median(of.map((sample) => sample.cpuMs)),
      p99Ms: median(of.map((sample) => sample.p99Ms)),
    };
  });
}

function milliseconds(match: RegExpExecArray | null): number {
  const scale = { us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? ''] ?? NaN;
  return Number(match?.[1]) * scale;
}
