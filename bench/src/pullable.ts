// Time from a pod's creation until its image is pullable from the cache, on the whole local stack: one image of 100 MB, then 50 small ones
// at once (1,000 with --full). Counts API calls and requests upstream per image.
// Run: node bench/src/pullable.ts [--rounds 5] [--full] [--many 1000] [--only small] [--cpu-prof <folder>]
// (services must be built)
import { parseArgs } from 'node:util';
import { LocalStack, pod } from '@kuik/e2e';
import { makeImage, type FaultProxy } from '@kuik/testbed';
import { apiCalls, callsBetween } from './api-calls.ts';
import { median } from './bulk-case.ts';
import { cpuSeconds, residentMiB } from './process-cpu.ts';
import { ReadyImages } from './ready-images.ts';

const HOST = 'registry.example.test';
const MB = 1_000_000;
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    full: { type: 'boolean', default: false },
    many: { type: 'string', default: '1000' },
    only: { type: 'string' },
    'cpu-prof': { type: 'string' },
  },
});
const profile = values['cpu-prof'];
const rounds = Number(values.rounds);
const many = Number(values.many);
const ALL_CASES = [
  { name: '1 x 100 MB', images: 1, layerBytes: 100 * MB, rounds },
  { name: '50 small', images: 50, layerBytes: 20_000, rounds },
  ...(values.full ? [{ name: `${many.toLocaleString('en')} small`, images: many, layerBytes: 2_000, rounds: 1 }] : []),
];
const CASES = ALL_CASES.filter(({ name }) => values.only === undefined || name.includes(values.only));
const DEADLINE_MS = 300_000;

const stack = await LocalStack.start(
  profile === undefined ? {} : { environment: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` } },
);
const ready = new ReadyImages(stack.controlPlane.kubeconfig);
try {
  await ready.start();
  console.log(
    'case           first ready   last ready   API calls per image   requests upstream   cpu-s of all services',
  );
  for (const each of CASES) {
    const lasts: number[] = [];
    for (let round = 1; round <= each.rounds; round += 1) lasts.push(await run(each, round));
    if (each.rounds > 1) console.log(`  median of the last: ${seconds(median(lasts))}`);
    console.log(
      `  RSS MiB: ${services()
        .map(({ name, pid }) => `${name} ${residentMiB(pid).toFixed(0)}`)
        .join(', ')}`,
    );
  }
} finally {
  await ready.stop();
  await stack.stop();
}

/** Pushes fresh images, creates a pod for each at once, and prints what came of it; returns ms until the last was pullable. */
async function run({ name, images, layerBytes }: (typeof CASES)[number], round: number): Promise<number> {
  const prefix = `${name.replace(/[^0-9a-z]+/gi, '-').toLowerCase()}-${round}`;
  const references: string[] = [];
  for (let index = 0; index < images; index += 1) {
    const image = await makeImage({ seed: `${prefix}/${index}`, layers: [{ bytes: layerBytes, encoding: 'raw' }] });
    await stack.push(HOST, `${prefix}/app-${index}`, ['1'], image);
    references.push(`${HOST}/${prefix}/app-${index}:1`);
  }
  stack.faults.log.reset();
  const [callsBefore, cpuBefore] = [await apiCalls(services()), cpuByProcess()];
  const since = performance.now();
  const created = references.map((reference, index) =>
    stack.api.create('/api/v1/namespaces/default/pods', pod(`${prefix}-${index}`, [{ name: 'app', image: reference }])),
  );
  const times = await ready.all(references, DEADLINE_MS);
  const cpu = spent(cpuBefore);
  await Promise.all(created);
  const [first, last] = [times[0]! - since, times.at(-1)! - since];
  const calls = callsBetween(callsBefore, await apiCalls(services()));
  const perImage = (times: number): string => (times / images).toFixed(1);
  const row = [
    name.padEnd(14),
    seconds(first).padStart(11),
    seconds(last).padStart(12),
    perImage(calls.reduce((sum, [, times]) => sum + times, 0)).padStart(21),
    perImage(stack.faults.log.total().requests).padStart(19),
    total(cpu).toFixed(2).padStart(23),
  ];
  console.log(row.join(' '));
  console.log(`  calls per image: ${calls.map(([call, times]) => `${call} ${perImage(times)}`).join(', ')}`);
  console.log(
    `  requests upstream: ${askedUpstream(stack.faults)
      .map(([what, times]) => `${what} ${perImage(times)}`)
      .join(', ')}`,
  );
  console.log(`  cpu-s: ${[...cpu].map(([process, used]) => `${process} ${used.toFixed(2)}`).join(', ')}`);
  return last;
}

/** Requests since the log was reset by `method kind status`, most often first. */
function askedUpstream({ log }: FaultProxy): [what: string, times: number][] {
  return log
    .counts()
    .map(({ method, kind, status, requests }): [string, number] => [`${method} ${kind} ${status}`, requests])
    .sort(([, a], [, b]) => b - a);
}

function services() {
  return Object.values(stack.services).flat();
}

/** CPU seconds so far of every service, of the servers that they lean on, and of this process: it is the upstream that they see. */
function cpuByProcess(): Map<string, number> {
  const all = [...stack.processes(), { name: 'bench', pid: process.pid }];
  return new Map(all.map(({ name, pid }) => [name, cpuSeconds(pid)]));
}

function spent(before: ReadonlyMap<string, number>): Map<string, number> {
  return new Map([...cpuByProcess()].map(([name, now]) => [name, now - (before.get(name) ?? 0)]));
}

function total(byProcess: ReadonlyMap<string, number>): number {
  return services().reduce((sum, { name }) => sum + (byProcess.get(name) ?? 0), 0);
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
