// A large cluster: how soon pod-watcher is ready and how much memory it takes, what each new image is written, what a rolling restart of all pods
// costs and whether anything ends in it, the webhook's answers beside that, and that nobody lists Secrets.
// Run: node bench/src/scale.ts [--pods 5000] [--images 2000] [--repositories 500] [--workloads 5000] [--definitions 300] [--secrets 0]
// [--window 180] [--full]   (services must be built; --full: 30,000 Secrets)
import { loadavg } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { WEBHOOK_CA_SECRET } from '@kuik/contracts';
import { reviewRequest } from './admission-review.ts';
import { type AuditedRequest, isWrite } from './audit-log.ts';
import { addPod, addPods, imageNumbers, phases, removePod } from './fill-cluster.ts';
import { addDefinitions, addSecrets, addWorkloads } from './fill-workloads.ts';
import { beginPacedLoad } from './paced-load.ts';
import { cpuSeconds, peakMiB, residentMiB } from './process-cpu.ts';
import { untilQuiet } from './quiet.ts';
import { type RestartBed, startRestartBed } from './restart-bed.ts';
import { StandInCopier } from './stand-in-copier.ts';

const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '5000' },
    images: { type: 'string', default: '2000' },
    repositories: { type: 'string', default: '500' },
    workloads: { type: 'string', default: '5000' },
    definitions: { type: 'string', default: '300' },
    secrets: { type: 'string', default: '0' },
    window: { type: 'string', default: '180' },
    full: { type: 'boolean', default: false },
    'cpu-prof': { type: 'string' },
  },
});
const [pods, images, repositories] = [Number(values.pods), Number(values.images), Number(values.repositories)];
const secrets = values.full ? 30_000 : Number(values.secrets);
const ADMISSIONS_PER_SECOND = 50;
const PATIENCE_MS = 900_000;
const ROLLING_AT_ONCE = 8;

const imageOf = imageNumbers(images, repositories);
const bed = await startRestartBed(values['cpu-prof']);
const copier = new StandInCopier(bed.controlPlane);
try {
  await stopAll(bed);
  await filling('CustomResourceDefinitions', Number(values.definitions), (count) => addDefinitions(bed, count));
  await filling('Secrets', secrets, (count) => addSecrets(bed, count));
  await filling('workload objects', Number(values.workloads), (count) => addWorkloads(bed, count, imageOf));
  await filling('pods', pods, (count) => addPods(bed, 0, count, imageOf));

  copier.start();
  const first = await start('first start, every image new');
  const { images: made } = copier.counts();
  line(`  ${made} images in ${repositories} repositories: ${JSON.stringify(await phases(bed))}`);
  tell(first.requests, made, 'image');
  await start('restart, everything known');
  await roll();
  await stopAll(bed);
  await sleep(1_000);
  bed.audit.take();
  const read = [...bed.audit.collections].filter((each) => each.endsWith(' secrets'));
  line(`\ncollections of Secrets that were read: ${read.length === 0 ? 'none' : read.join(', ')}`);
} finally {
  await copier.stop();
  await bed.stop();
}

/** All services begin anew together; tells when each was ready and when there was nothing left to do. */
async function start(what: string): Promise<{ requests: readonly AuditedRequest[] }> {
  await stopAll(bed);
  bed.audit.take();
  const since = Date.now();
  const ready = await Promise.all(
    bed.services.map(async (service) => {
      await service.restart();
      return `${service.name} ${((Date.now() - since) / 1000).toFixed(1)} s`;
    }),
  );
  const { seconds, requests } = await untilQuiet(bed.audit, since, PATIENCE_MS);
  const writes = requests.filter(isWrite).length;
  line(`\n${what} ${load()}: ready ${ready.join(', ')}; quiet ${seconds.toFixed(1)} s`);
  line(`  ${requests.length} requests, ${writes} writes; cpu-s ${told(({ pid }) => cpuSeconds(pid).toFixed(2))}`);
  line(`  RSS MiB (peak): ${told(({ pid }) => `${residentMiB(pid).toFixed(0)} (${peakMiB(pid).toFixed(0)})`)}`);
  return { requests };
}

/** Every pod is replaced by another one of the same images, in the time of the window, while pods are admitted. */
async function roll(): Promise<void> {
  const { data } = await bed.controlPlane.api.get<{ data: Record<string, string> }>(
    `/api/v1/namespaces/kuik-system/secrets/${WEBHOOK_CA_SECRET}`,
  );
  const ca = Buffer.from(data['ca.crt']!, 'base64').toString();
  const before = bed.services.map(({ pid }) => pid);
  const cpuBefore = before.map((pid) => cpuSeconds(pid));
  bed.audit.take();
  const admissions = beginPacedLoad({
    port: bed.admissionPort,
    ca,
    request: reviewRequest(),
    perSecond: ADMISSIONS_PER_SECOND,
  });
  const since = Date.now();
  const pace = (Number(values.window) * 1000) / pods;
  let next = 0;
  await Promise.all(
    Array.from({ length: ROLLING_AT_ONCE }, async () => {
      for (let index = next++; index < pods; index = next++) {
        await sleep(Math.max(0, since + index * pace - Date.now()));
        await addPod(bed, `pod-${index}-anew`, index, imageOf);
        await removePod(bed, `pod-${index}`);
      }
    }),
  );
  const took = (Date.now() - since) / 1000;
  const admitted = await admissions.end();
  const { requests } = await untilQuiet(bed.audit, Date.now(), PATIENCE_MS);
  const ended = bed.services.filter(({ pid }, index) => pid !== before[index]).map(({ name }) => name);
  line(`\nrolling restart of ${pods} pods in ${took.toFixed(0)} s of ${values.window} ${load()}`);
  line(`  processes that ended: ${ended.length === 0 ? 'none' : ended.join(', ')}`);
  const spent = bed.services.map(
    ({ name, pid }, index) => `${name} ${(cpuSeconds(pid) - cpuBefore[index]!).toFixed(2)}`,
  );
  line(`  cpu-s ${spent.join(', ')}`);
  line(`  RSS MiB (peak): ${told(({ pid }) => `${residentMiB(pid).toFixed(0)} (${peakMiB(pid).toFixed(0)})`)}`);
  tell(requests, pods, 'pod');
  const { sent, p50Ms, p99Ms } = admitted;
  line(`  ${sent} admissions at ${ADMISSIONS_PER_SECOND}/s: p50 ${p50Ms.toFixed(2)} ms, p99 ${p99Ms.toFixed(2)} ms`);
}

async function filling(what: string, count: number, fill: (count: number) => Promise<void>): Promise<void> {
  const since = Date.now();
  await fill(count);
  if (count > 0) line(`${count} ${what} made in ${((Date.now() - since) / 1000).toFixed(0)} s ${load()}`);
}

/** Writes by service, verb and resource, for each thing that there is. */
function tell(requests: readonly AuditedRequest[], things: number, thing: string): void {
  const counts = new Map<string, number>();
  for (const { service, verb, resource } of requests.filter(isWrite)) {
    const key = `${service} ${verb} ${resource}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  const each = [...counts].map(([key, count]) => `${key} ${(count / things).toFixed(2)}`);
  line(`  writes per ${thing}: ${each.length === 0 ? 'none' : each.join(', ')}`);
}

async function stopAll({ services }: RestartBed): Promise<void> {
  await Promise.all(services.map((service) => service.kill('SIGTERM')));
}

function told(figure: (service: RestartBed['services'][number]) => string): string {
  return bed.services.map((service) => `${service.name} ${figure(service)}`).join(', ');
}

function load(): string {
  return `(load ${loadavg()[0]!.toFixed(1)})`;
}

function line(text: string): void {
  process.stdout.write(`${text}\n`);
}
