// A copy, upstream (TLS) to cache, by the workers of the whole local stack and by `skopeo copy --preserve-digests --all` into the same registry:
// 200 layers of 1 MiB, one of 2 GiB, a small image, and each once more when nothing is left to do.
// Run: node bench/src/copy.ts [--mib 2048] [--layers 200] [--rounds 3] [--only <case>] [--cpu-prof <folder>]
// (services must be built)
import { parseArgs } from 'node:util';
import { LocalStack } from '@kuik/e2e';
import { makeCertificates, makeImage, pushImage, startFaultProxy, startUpstreamRegistry } from '@kuik/testbed';
import { Agent } from 'undici';
import { median } from './bulk-case.ts';
import type { CpuSplit } from './cpu-split.ts';
import { CopierCopies } from './copier-copies.ts';
import { skopeoCopy } from './skopeo-copy.ts';

const MiB = 1024 * 1024;
const HOST = 'direct.example.test';
/** The same upstream behind a proxy that counts. */
const COUNTED = 'counted.example.test';

const { values } = parseArgs({
  options: {
    mib: { type: 'string', default: '2048' },
    layers: { type: 'string', default: '200' },
    rounds: { type: 'string', default: '3' },
    only: { type: 'string' },
    'cpu-prof': { type: 'string' },
  },
});
const rounds = Number(values.rounds);
const profile = values['cpu-prof'];
const CASES = [
  { name: 'small', layers: 1, bytes: 10_000 },
  { name: `${values.layers} x 1 MiB`, layers: Number(values.layers), bytes: MiB },
  { name: `1 x ${values.mib} MiB`, layers: 1, bytes: Number(values.mib) * MiB },
].filter(({ name }) => values.only === undefined || name.includes(values.only));

/** `cpuSeconds` of whoever copied; `cpu` of all else that ran meanwhile, the copiers among the stack. */
interface Taken {
  readonly ms: number;
  readonly cpuSeconds: number;
  readonly cpu: CpuSplit;
}

type Case = (typeof CASES)[number];
type By = 'copier' | 'skopeo';
const BY: readonly By[] = ['copier', 'skopeo'];
type Takes = Record<By, Taken[]>;

const authority = await makeCertificates();
const [upstream, plain] = await Promise.all([
  startUpstreamRegistry({ name: 'direct', certificate: await authority.certificate(HOST) }),
  startUpstreamRegistry({ name: 'counted' }),
]);
const trusting = new Agent({ connect: { ca: authority.ca } });
const faults = await startFaultProxy({ backingUrl: plain.url, hosts: [COUNTED], tls: true });
const stack = await LocalStack.start({
  upstream: 'none',
  ...(profile === undefined ? {} : { environment: { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${profile}` } }),
  registries: { [HOST]: { address: upstream.host, ca: authority.ca }, ...faults.registries() },
});
const copier = new CopierCopies(stack);
const { cache } = stack.stack;
try {
  console.log(`medians of ${rounds}; ratio: skopeo's time by the copier's, above 1 the copier is faster`);
  console.log(
    'own: copiers or skopeo; with: copiers and all that they need (Redis, NATS, API server...); ends: both registries',
  );
  console.log(
    'case               by        seconds  ratio cpu-s own    with    ends own/GB with/GB    MB/s requests upstream',
  );
  for (const each of CASES) {
    const [first, again] = await measure(each);
    const { copier: ours, skopeo } = await countRequests(each);
    tell(each.name, each.layers * each.bytes, first, { copier: ours[0], skopeo: skopeo[0] });
    tell(`${each.name}, again`, 0, again, { copier: ours[1], skopeo: skopeo[1] });
  }
} finally {
  await stack.stop();
  await faults.close();
  await trusting.close();
  await Promise.all([upstream.stop(), plain.stop()]);
}

/** First copies of fresh images, and the same copies once more; who goes first changes from round to round. */
async function measure({ name, layers, bytes }: Case): Promise<readonly [Takes, Takes]> {
  const [first, again]: [Takes, Takes] = [
    { copier: [], skopeo: [] },
    { copier: [], skopeo: [] },
  ];
  for (let round = 0; round < rounds; round += 1) {
    const repository = nameOf(name, round);
    const reference = `${HOST}/${repository}:1`;
    await pushImage(upstream.url, repository, ['1'], await imageOf(repository, layers, bytes), {
      dispatcher: trusting,
    });
    const order = round % 2 === 0 ? BY : BY.toReversed();
    for (const takes of [first, again])
      for (const by of order)
        takes[by].push(
          by === 'skopeo'
            ? await bySkopeo(upstream.host, repository)
            : await (takes === first ? copier.first(reference) : copier.again(reference)),
        );
  }
  return [first, again];
}

/** What upstream is asked, once: by a first copy, and by the same one again. */
async function countRequests({ name, layers, bytes }: Case): Promise<Record<By, readonly [number, number]>> {
  const repository = nameOf(name, rounds);
  await faults.push(COUNTED, repository, ['1'], await imageOf(repository, layers, Math.min(bytes, MiB)));
  const reference = `${COUNTED}/${repository}:1`;
  const counted = async (copy: () => Promise<unknown>): Promise<number> => {
    faults.log.reset();
    await copy();
    return faults.log.total().requests;
  };
  const skopeo = () => bySkopeo(new URL(faults.host(COUNTED).url).host, repository);
  return {
    copier: [await counted(() => copier.first(reference)), await counted(() => copier.again(reference))],
    skopeo: [await counted(skopeo), await counted(skopeo)],
  };
}

function imageOf(seed: string, layers: number, bytes: number) {
  const layer = { bytes, encoding: 'raw' as const };
  return makeImage({ seed: `${seed}-${process.pid}`, layers: Array.from({ length: layers }, () => layer) });
}

function nameOf(name: string, round: number): string {
  return `bench/${name.replaceAll(/[^0-9a-z]+/gi, '-').toLowerCase()}-${round}`;
}

function bySkopeo(host: string, repository: string) {
  const target = `skopeo/${repository}`;
  const [, token] = cache.authorization('writer', [{ repository: target, actions: ['pull', 'push'] }]).split(' ');
  return skopeoCopy(`${host}/${repository}:1`, `${new URL(cache.writerUrl).host}/${target}:1`, token!);
}

function tell(name: string, bytes: number, takes: Takes, requests: Record<By, number>): void {
  const ms = (by: By): number => median(takes[by].map((take) => take.ms));
  for (const by of BY) {
    const of = (say: (take: Taken) => number): number => median(takes[by].map(say));
    const own = of(({ cpuSeconds }) => cpuSeconds);
    // The stack's other processes are idle while skopeo copies.
    const whole = by === 'skopeo' ? own : of(({ cpu }) => cpu.stack);
    const perGb = (cpu: number): string => (bytes < MiB ? '-' : (cpu / (bytes / 1e9)).toFixed(2));
    const cells: [text: string, width: number][] = [
      [(ms(by) / 1000).toFixed(2), 9],
      [by === 'copier' ? (ms('skopeo') / ms('copier')).toFixed(2) : '', 7],
      [own.toFixed(2), 8],
      [whole.toFixed(2), 8],
      [of(({ cpu }) => cpu.registries).toFixed(2), 8],
      [perGb(own), 8],
      [perGb(whole), 8],
      [bytes < MiB ? '-' : (bytes / 1e3 / ms(by)).toFixed(0), 8],
      [String(requests[by]), 9],
    ];
    console.log(name.padEnd(19) + by.padEnd(8) + cells.map(([text, width]) => text.padStart(width)).join(''));
  }
}
