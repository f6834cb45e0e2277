// Restart of everything that holds state about pods: seconds until ready and until quiet, CPU, API requests and writes, RSS by number of pods,
// and how long a killed leader's Lease waits. Run: node bench/src/restart.ts [--pods 1000,10000] [--images 1000] [--rounds 3]
// [--cpu-prof <folder>]   (services must be built)
import { parseArgs } from 'node:util';
import { leaseName, needs, SERVICES } from '@kuik/contracts';
import type { ServiceProcess } from '@kuik/testbed';
import { until } from '@kuik/testbed';
import { type AuditedRequest, isWrite } from './audit-log.ts';
import { addPods, imageNumbers, markAllCopied, phases } from './fill-cluster.ts';
import { median } from './bulk-case.ts';
import { cpuSeconds, peakMiB, residentMiB } from './process-cpu.ts';
import { untilQuiet } from './quiet.ts';
import { type RestartBed, startRestartBed } from './restart-bed.ts';

const { values } = parseArgs({
  options: {
    pods: { type: 'string', default: '1000,10000' },
    images: { type: 'string', default: '1000' },
    rounds: { type: 'string', default: '3' },
    'cpu-prof': { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const images = Number(values.images);

interface Restart {
  readonly ready: number;
  readonly quiet: number;
  readonly cpu: number;
  readonly requests: readonly AuditedRequest[];
}

const line = (text: string): void => void process.stdout.write(`${text}\n`);
const bed = await startRestartBed(values['cpu-prof']);
try {
  await untilQuiet(bed.audit, Date.now());
  memory('no pods');
  let there = 0;
  for (const pods of values.pods.split(',').map(Number)) {
    await Promise.all(bed.services.map((service) => service.kill('SIGTERM')));
    await addPods(bed, there, pods, imageNumbers(images));
    there = pods;
    report('start among new pods', await restart(bed, 'SIGTERM'));
    const since = Date.now();
    const copied = await markAllCopied(bed);
    const filled = await untilQuiet(bed.audit, since);
    line(
      `\n${pods} pods, ${copied} images: ${JSON.stringify(await phases(bed))}; quiet ${filled.seconds.toFixed(1)} s after all were marked as copied`,
    );
    memory('after that');
    const measured: Restart[] = [];
    for (let round = 1; round <= rounds; round += 1) {
      measured.push(await restart(bed, 'SIGTERM'));
      report(`restart ${round} after SIGTERM`, measured.at(-1)!);
    }
    const of = (field: 'ready' | 'quiet' | 'cpu'): string => median(measured.map((each) => each[field])).toFixed(2);
    line(`medians: ready ${of('ready')} s, quiet ${of('quiet')} s, ${of('cpu')} cpu-s`);
    line(told(measured.at(-1)!.requests));
    memory('after the restarts');
    await killLeaders(bed);
    report('all killed and restarted', await restart(bed, 'SIGKILL'));
  }
} finally {
  await bed.stop();
}

/** All replicas down, then all up at once; quiet counts once every Lease has a new holder. */
async function restart(bed: RestartBed, signal: NodeJS.Signals): Promise<Restart> {
  const { services, audit } = bed;
  const before = await holders(bed);
  await Promise.all(services.map((service) => service.kill(signal)));
  audit.take();
  const since = Date.now();
  await Promise.all(services.map((service) => service.restart()));
  const ready = (Date.now() - since) / 1000;
  await Promise.all(before.map(([lease, holder]) => newHolder(bed, lease, holder)));
  const { seconds, requests } = await untilQuiet(audit, since);
  const cpu = services.reduce((sum, { pid }) => sum + cpuSeconds(pid), 0);
  return { ready, quiet: seconds, cpu, requests };
}

function report(what: string, { ready, quiet, cpu, requests }: Restart): void {
  const writes = requests.filter(isWrite);
  const toPods = writes.filter(({ resource }) => resource.startsWith('pods')).length;
  line(
    `${what}: ready ${ready.toFixed(2)} s, quiet ${quiet.toFixed(2)} s, ${cpu.toFixed(2)} cpu-s, ` +
      `${requests.length} requests, ${writes.length} writes (${toPods} to pods)`,
  );
  line(`  cpu-s: ${bed.services.map(({ name, pid }) => `${name} ${cpuSeconds(pid).toFixed(2)}`).join(', ')}`);
}

/** Requests by service, verb and resource. */
function told(requests: readonly AuditedRequest[]): string {
  const counts = new Map<string, number>();
  for (const { service, verb, resource } of requests) {
    const key = `${service} ${verb} ${resource}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return `  requests: ${[...counts].map(([key, count]) => `${key} ${count}`).join(', ')}`;
}

function memory(when: string): void {
  const each = bed.services.map(
    ({ name, pid }) => `${name} ${residentMiB(pid).toFixed(0)} (peak ${peakMiB(pid).toFixed(0)})`,
  );
  line(`RSS MiB ${when}: ${each.join(', ')}`);
}

/** SIGKILLs every leader; tells when the other replica held the Lease, and when there was nothing left to do. */
async function killLeaders(bed: RestartBed): Promise<void> {
  const { services, audit } = bed;
  const before = await holders(bed);
  const leaders: ServiceProcess[] = [];
  for (const service of services) if (await leads(service)) leaders.push(service);
  audit.take();
  const since = Date.now();
  await Promise.all(leaders.map((leader) => leader.kill('SIGKILL')));
  const taken = await Promise.all(
    before.map(async ([lease, holder]) => {
      await newHolder(bed, lease, holder);
      return `${lease} ${((Date.now() - since) / 1000).toFixed(1)} s`;
    }),
  );
  const { seconds, requests } = await untilQuiet(audit, since);
  line(
    `leaders killed: Leases taken after ${taken.join(', ')}; quiet ${seconds.toFixed(1)} s, ` +
      `${requests.filter(isWrite).length} writes`,
  );
}

/** Who holds each of our Leases. */
function holders(bed: RestartBed): Promise<(readonly [lease: string, holder: string])[]> {
  return Promise.all(
    SERVICES.filter((service) => needs(service, 'lease')).map(async (service) => {
      const lease = leaseName(service);
      return [lease, await holderOf(bed, lease)] as const;
    }),
  );
}

async function holderOf({ controlPlane }: RestartBed, lease: string): Promise<string> {
  const path = `/apis/coordination.k8s.io/v1/namespaces/kuik-system/leases/${lease}`;
  const { spec } = await controlPlane.api.get<{ spec: { holderIdentity?: string } }>(path);
  return spec.holderIdentity ?? '';
}

async function newHolder(bed: RestartBed, lease: string, old: string): Promise<void> {
  await until(async () => !['', old].includes(await holderOf(bed, lease)), {
    what: `another holder of ${lease}`,
    timeoutMs: 60_000,
    everyMs: 50,
  });
}

async function leads({ metricsUrl }: ServiceProcess): Promise<boolean> {
  return /^kuik_leader 1$/m.test(await (await fetch(metricsUrl)).text());
}
