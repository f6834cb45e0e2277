// Time from a pod's creation until its image is pullable from the cache, on the whole local stack: one image of 100 MB, then 50 small ones
// at once (1,000 with --full). Counts API calls per image. Run: node bench/src/pullable.ts [--full]   (services must be built)
import type { CachedImage } from '@kuik/contracts';
import { LocalStack, pod } from '@kuik/e2e';
import { makeImage, until } from '@kuik/testbed';
import { cpuSeconds, residentMiB } from './process-cpu.ts';

const HOST = 'registry.example.test';
const MB = 1_000_000;
const CASES = [
  { name: '1 x 100 MB', images: 1, layerBytes: 100 * MB },
  { name: '50 small', images: 50, layerBytes: 20_000 },
  ...(process.argv.includes('--full') ? [{ name: '1,000 small', images: 1_000, layerBytes: 2_000 }] : []),
];
const DEADLINE_MS = 300_000;

const stack = await LocalStack.start();
try {
  console.log('case           first ready   last ready   API calls per image   cpu-s of all services   RSS MiB');
  for (const { name, images, layerBytes } of CASES) {
    const prefix = name.replace(/[^0-9a-z]+/gi, '-').toLowerCase();
    const references: string[] = [];
    for (let index = 0; index < images; index += 1) {
      const image = await makeImage({ seed: `${prefix}/${index}`, layers: [{ bytes: layerBytes, encoding: 'raw' }] });
      await stack.push(HOST, `${prefix}/app-${index}`, ['1'], image);
      references.push(`${HOST}/${prefix}/app-${index}:1`);
    }
    const [callsBefore, cpuBefore] = [await apiCalls(), cpuByProcess()];
    const since = performance.now();
    await Promise.all(
      references.map((reference, index) =>
        stack.api.create(
          '/api/v1/namespaces/default/pods',
          pod(`${prefix}-${index}`, [{ name: 'app', image: reference }]),
        ),
      ),
    );
    let first = 0;
    await until(
      async () => {
        const ready = await readyCount(prefix);
        if (ready > 0 && first === 0) first = performance.now() - since;
        return ready === images;
      },
      { timeoutMs: DEADLINE_MS, everyMs: 100, what: `${images} images to be ready` },
    );
    const last = performance.now() - since;
    const calls = ((await apiCalls()) - callsBefore) / images;
    const row = [
      name.padEnd(14),
      seconds(first).padStart(11),
      seconds(last).padStart(12),
      calls.toFixed(1).padStart(21),
      total(spent(cpuBefore)).toFixed(2).padStart(23),
    ];
    console.log(row.join(' '), processes());
    console.log(
      `  cpu-s: ${[...spent(cpuBefore)].map(([name, seconds]) => `${name} ${seconds.toFixed(2)}`).join(', ')}`,
    );
  }
} finally {
  await stack.stop();
}

/** Images whose bytes the cache holds, as their resources say. */
async function readyCount(prefix: string): Promise<number> {
  const items = await stack.api.list<CachedImage>('/apis/kuik.enix.io/v1alpha1/cachedimages');
  return items.filter(
    (image) => image.spec.sourceImage.includes(`/${prefix}/`) && image.status?.cache?.digest !== undefined,
  ).length;
}

/** Calls of all our services to the API server so far. */
async function apiCalls(): Promise<number> {
  const counts = await Promise.all(
    Object.values(stack.services)
      .flat()
      .map((process) => stack.metric(process, 'kuik_kube_calls_total')),
  );
  return counts.reduce((sum, count) => sum + count, 0);
}

/** CPU seconds so far of every service and of the servers that they lean on. */
function cpuByProcess(): Map<string, number> {
  return new Map(stack.processes().map((process) => [process.name, cpuSeconds(process.pid)]));
}

function spent(before: ReadonlyMap<string, number>): Map<string, number> {
  return new Map([...cpuByProcess()].map(([name, now]) => [name, now - (before.get(name) ?? 0)]));
}

function total(byProcess: ReadonlyMap<string, number>): number {
  return Object.values(stack.services)
    .flat()
    .reduce((sum, { name }) => sum + (byProcess.get(name) ?? 0), 0);
}

function processes(): string {
  return Object.values(stack.services)
    .flat()
    .map((process) => `${process.name} ${Math.round(residentMiB(process.pid))}`)
    .join(', ');
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`;
}
