import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  FAILURE_CELLS,
  failureAnswer,
  type FailureAnswer,
  type FailureCell,
  isAway,
  isList,
  METRICS,
  UPSTREAM_CASES,
  type Wait,
} from '@kuik/contracts';
import { HOST, type RunningProxy } from '../proxy-world.fixture.ts';
import { BOUNDS, BUSY_MS, HUNG } from './bounds.fixture.ts';
import { startFailureWorld, type FailureWorld } from './failure-world.fixture.ts';
import { metAs, PULLED_CELLS } from './pulled-cells.fixture.ts';
import { bytesOf, expected, pullOf, seen, type Pulled, type Right } from './pulled.fixture.ts';
import { repositoryOf, upstreamHost } from './upstream-cases.fixture.ts';

const WAITED_MS: Readonly<Record<Wait, number>> = {
  cache: BOUNDS.hung,
  upstream: BOUNDS.hung,
  silence: BOUNDS.silence,
  check: BOUNDS.patience,
  tag: BOUNDS.patience,
  'back-off': 600,
};
/** Cells that wait cost no time of the processor: many at once. The others a few at a time. */
const AT_ONCE = { waiting: 32, busy: 6 };

let world: FailureWorld;
let right: Right;
const pulled = new Map<FailureCell, Pulled>();
const expectations = new Map(FAILURE_CELLS.map((cell) => [cell, failureAnswer(cell)]));

beforeAll(async () => {
  world = await startFailureWorld();
  const referrer = world.signature.manifests[0]!.digest;
  right = { manifest: world.image.digest, layer: bytesOf(world.layer), referrer };
  const waits = (cell: FailureCell): boolean => expectations.get(cell)!.waits.length > 0;
  await Promise.all([
    pullAll(PULLED_CELLS.filter(waits), AT_ONCE.waiting),
    pullAll(
      PULLED_CELLS.filter((cell) => !waits(cell)),
      AT_ONCE.busy,
    ),
  ]);
}, 120_000);
afterAll(() => world.stop());

async function pullAll(cells: readonly FailureCell[], atOnce: number): Promise<void> {
  const left = [...cells];
  const work = async (): Promise<void> => {
    for (let cell = left.shift(); cell !== undefined; cell = left.shift()) pulled.set(cell, await pull(cell));
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

const pull = (cell: FailureCell): Promise<Pulled> => pullOf(world.proxyOf(cell), world.targetOf(cell), cell.pull);

const cellsOf = (pullCase: string, cacheCase: string): FailureCell[] =>
  PULLED_CELLS.filter(({ pull: what, cache }) => what === pullCase && cache === cacheCase);

it('is pulled, or met as one that is', () => {
  const answerOf = (cell: FailureCell): FailureAnswer => expectations.get(cell)!;
  for (const cell of FAILURE_CELLS) expect([cell, answerOf(cell)]).toEqual([cell, failureAnswer(metAs(cell))]);
});

const tables = [...new Set(PULLED_CELLS.map(({ pull, cache }) => `${pull}, cache: ${cache}`))].map(
  (name) => name.split(', cache: ') as [string, string],
);

describe.each(tables)('pull: %s', (pullCase, cacheCase) => {
  describe(`cache: ${cacheCase}`, () => {
    const cells = cellsOf(pullCase, cacheCase);
    const all = <T>(of: (cell: FailureCell) => T): Record<string, T> =>
      Object.fromEntries(cells.map((cell) => [cell.upstream, of(cell)]));

    it('gets what docs/failures.md says, and its log line says so, whatever upstream is', () => {
      expect(cells).toHaveLength(UPSTREAM_CASES.length);
      const shown = all((cell) => seen(cell, pulled.get(cell)!, right));
      expect(shown).toEqual(all((cell) => expected(cell, shown[cell.upstream]!)));
    });

    it('waits for nobody twice, and no longer than its bound', () => {
      const late = cells.filter((cell) => {
        const bound = expectations.get(cell)!.waits.reduce((sum, wait) => sum + WAITED_MS[wait], 0);
        return pulled.get(cell)!.answer.ms > bound + BUSY_MS;
      });
      expect(late).toEqual([]);
      const count = ({ waits }: FailureAnswer, which: Wait): number => waits.filter((wait) => wait === which).length;
      for (const cell of cells) {
        const answer = expectations.get(cell)!;
        const { cache, upstream } = world.hangs(cell);
        const questions = count(answer, 'upstream') + count(answer, 'check') + count(answer, 'tag');
        // What a list lacks is looked at beside, too.
        const beside = pullCase === 'referrers' ? 1 : 0;
        const most = {
          cache: count(answer, 'cache') + beside,
          upstream: cell.upstream === 'black-holed' ? questions : 0,
        };
        if (cache > most.cache || upstream > most.upstream)
          expect({ cell, cache, upstream }).toEqual({ cell, ...most });
      }
    });
  });
});

describe('a breaker', () => {
  const askFor = (proxy: RunningProxy, host: string, repository: string): Promise<Pulled> =>
    pullOf(proxy, `${host}/${repository}/manifests/${world.image.digest}`);
  const metric = async (proxy: RunningProxy, name: string): Promise<number | undefined> =>
    (await samplesOf(proxy)).find(([sample]) => sample === `${name}{}`)?.[1];

  it('spares an upstream that does not answer, and says when to come back; what others have is served', async () => {
    const proxy = await world.startProxy('hit', { patient: false, settings: { upstreamBreaker: { open: '1m' } } });
    const host = upstreamHost('black-holed');
    for (let time = 0; time < 3; time += 1)
      expect((await askFor(proxy, host, `spare/${time}`)).answer.status).toBe(504);
    const before = world.faults.log.total({ host }).requests;
    const { answer, line } = await askFor(proxy, host, 'spare/3');
    expect([answer.status, line.code, answer.headers['retry-after']]).toEqual([504, 'KUIK-REG-504', '60']);
    const stale = await pullOf(proxy, `${host}/${repositoryOf({ cache: 'hit', pull: 'unknown tag' })}/manifests/1`);
    expect([stale.answer.status, stale.answer.headers['warning']]).toEqual([200, expect.stringMatching(/^110 /)]);
    expect(world.faults.log.total({ host }).requests).toBe(before);
    expect((await askFor(proxy, HOST, 'image')).answer.status).toBe(200);
    expect(await metric(proxy, METRICS.proxySparedUpstreams.name)).toBe(1);
    expect(await metric(proxy, METRICS.proxyUpstreamSpared.name)).toBe(2);
    expect(proxy.lines.filter(({ message }) => message === 'upstream does not answer')).toHaveLength(1);
  });

  it('spares a cache that does not answer, and asks it all the same when nobody else has an answer', async () => {
    const settings = { cacheTimeouts: { ...HUNG, breakerFailures: 3, breakerOpen: '1m' } };
    const proxy = await world.startProxy('black-holed', { settings });
    const asked = (): number => proxy.lines.filter(({ message }) => message === 'cache cannot be asked').length;
    for (let time = 0; time < 3; time += 1) await askFor(proxy, upstreamHost('down'), `spare/${time}`);
    expect([asked(), await metric(proxy, METRICS.proxyBreaker.name)]).toEqual([3, 1]);
    expect((await askFor(proxy, HOST, 'image')).line).toMatchObject({ status: 200, origin: 'upstream' });
    expect(asked()).toBe(3);
    expect((await askFor(proxy, upstreamHost('down'), 'spare/3')).line).toMatchObject({ status: 503 });
    expect(asked()).toBe(4);
  });
});

describe('what is counted', () => {
  it('is each answer, each failure by its code, each question about a tag, and each time that the cache was missed', async () => {
    for (const proxy of world.proxies) {
      const cells = PULLED_CELLS.filter((cell) => world.proxyOf(cell) === proxy);
      const shown = cells.map((cell) => ({ cell, ...pulled.get(cell)! }));
      const counts = countUp([
        ...shown.map(({ cell, answer: { status }, line }) => {
          return [
            METRICS.proxyRequests.name,
            { kind: KINDS[cell.pull] ?? 'manifest', origin: line.origin, reason: line.reason, status },
          ] as const;
        }),
        ...shown.flatMap(({ line: { code } }) =>
          code === undefined ? [] : ([[METRICS.proxyFailures.name, { code }]] as const),
        ),
        ...cells.flatMap((cell) => {
          const { check } = expectations.get(cell)!;
          return check === undefined ? [] : ([[METRICS.proxyTagChecks.name, { result: check }]] as const);
        }),
      ]);
      const names = [METRICS.proxyRequests.name, METRICS.proxyFailures.name, METRICS.proxyTagChecks.name];
      const samples = await samplesOf(proxy);
      expect(samples.filter(([name]) => names.some((one) => name.startsWith(`${one}{`))).sort()).toEqual(counts);

      const sum = (name: string): number =>
        samples.reduce((total, [sample, value]) => total + (sample.startsWith(name) ? value : 0), 0);
      const missing = cells.filter(({ cache, pull: what }) => isAway(cache) && !isList(what)).length;
      const warnings = proxy.lines.filter(({ message }) => message === 'cache cannot be asked');
      expect(sum(METRICS.proxyCacheFailures.name)).toBe(warnings.length);
      expect(warnings.length).toBeGreaterThanOrEqual(missing);
      const broken = cells.filter(({ upstream, pull: what, cache }) => {
        const blob = what === 'blob' || what === 'Range';
        return blob && cache !== 'hit' && /^(resets|stalls|dies) mid-blob$/.test(upstream);
      });
      expect(sum(METRICS.proxyResumes.name)).toBeGreaterThanOrEqual(broken.length);
    }
  });
});

/** Label `kind` of what is no manifest. */
const KINDS: Readonly<Partial<Record<FailureCell['pull'], string>>> = {
  blob: 'blob',
  Range: 'blob',
  tags: 'tags',
  referrers: 'referrers',
};

type Sample = readonly [name: string, labels: Readonly<Record<string, unknown>>];

function countUp(samples: readonly Sample[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const [name, labels] of samples) {
    const text = Object.entries(labels).map(([label, value]) => `${label}="${String(value)}"`);
    const key = `${name}{${text.sort().join(',')}}`;
    counts.set(key, (counts.get(key) ?? 0) + 1);
  }
  return [...counts].sort();
}

async function samplesOf(proxy: RunningProxy): Promise<[string, number][]> {
  const lines = (await proxy.metrics.render()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return lines.map((line) => {
    const [, name, labels, value] = /^([a-z_0-9]+)(?:\{(.*)\})? (\S+)$/.exec(line)!;
    const sorted = (labels ?? '')
      .split(',')

      .sort();
    return [`${name!}{${sorted.join(',')}}`, Number(value)];
  });
}
