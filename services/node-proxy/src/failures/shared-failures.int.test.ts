import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { failureAnswer, type FailureCell, METRICS, UPSTREAM_CASES, type UpstreamCase } from '@kuik/contracts';
import { until, type MadeBlob } from '@kuik/testbed';
import { HOST, type RunningProxy } from '../proxy-world.fixture.ts';
import { BOUNDS, BUSY_MS } from './bounds.fixture.ts';
import { bytesOf, expected, pullOf, seen, type Pulled } from './pulled.fixture.ts';
import { SHARED_CELLS, startSharedWorld, type SharedWorld } from './shared-world.fixture.ts';

/** Said by upstream itself: passed on, and not asked for again. */
const SAID: readonly UpstreamCase[] = ['401', '403', 'credential refused', '404', '429'];
/** The copier got no answer, or was sparing who gave none: the proxy is told so. */
const SILENT: readonly UpstreamCase[] = ['black-holed', 'lost packets'];
/** The copier had no answer: the proxy asks by itself, and says what it gets. */
const ALONE: readonly UpstreamCase[] = ['5xx', 'dead CDN', 'down', ...SILENT];

let world: SharedWorld;
const pulled = new Map<FailureCell, Pulled>();
beforeAll(async () => {
  world = await startSharedWorld();
  await world.breakAll();
  const pull = async (cell: FailureCell): Promise<void> =>
    void pulled.set(cell, await pullOf(world.proxy, world.targetOf(cell), cell.pull));
  await Promise.all(SHARED_CELLS.map(pull));
}, 120_000);
afterAll(() => world.stop());

/** Whether the whole layer is the copier's to store: it came, in full, through it, and not to somebody who wanted a part only. */
function isStored({ upstream, cache, pull }: FailureCell): boolean {
  if (pull === 'Range' || cache === 'read-only' || cache === 'disk full') return false;
  return failureAnswer({ upstream, cache, pull }).body === 'whole';
}

const tables = [...new Set(SHARED_CELLS.map(({ pull, cache }) => `${pull}, cache: ${cache}`))];

describe('through a copier', () => {
  describe.each(tables)('pull: %s', (table) => {
    const cells = SHARED_CELLS.filter(({ pull, cache }) => `${pull}, cache: ${cache}` === table);
    const all = <T>(of: (cell: FailureCell) => T): Record<string, T> =>
      Object.fromEntries(cells.map((cell) => [cell.upstream, of(cell)]));

    it('gets the same as without one, whatever upstream is', () => {
      expect(cells).toHaveLength(UPSTREAM_CASES.length);
      const layerOf = (cell: FailureCell): Buffer => bytesOf(world.layerOf(cell));
      const shown = all((cell) => seen(cell, pulled.get(cell)!, { manifest: '', layer: layerOf(cell) }));
      expect(shown).toEqual(all((cell) => expected(cell, shown[cell.upstream]!)));
      const late = cells.filter((cell) => pulled.get(cell)!.answer.ms > 2 * BOUNDS.hung + BUSY_MS);
      expect(late).toEqual([]);
    });

    it('is stored where there is a whole layer and room for it', async () => {
      const wanted = cells.filter(isStored);
      for (const cell of wanted)
        await until(() => world.isStored(cell), { what: `${JSON.stringify(cell)} to be stored` });
      const stored = await Promise.all(cells.map(async (cell) => [cell.upstream, await world.isStored(cell)]));
      expect(Object.fromEntries(stored)).toEqual(all((cell) => wanted.includes(cell)));
    });
  });
});

it('is counted: how each blob was had, and what was not stored', async () => {
  const among = (cases: readonly UpstreamCase[]): number =>
    SHARED_CELLS.filter(({ upstream }) => cases.includes(upstream)).length;
  const result = (name: string): Promise<number> => world.counted(METRICS.proxyShared.name, name);
  // Who has a credential is refused without it, with it, and with a new one.
  expect(await result('refused')).toBe(among(SAID) + 2 * among(['credential refused']));
  expect(await result('alone-upstream-silent')).toBe(among(SILENT));
  // Whoever reads through the copier next does not wait for them.
  expect(await world.metric(METRICS.copySparedUpstreams.name)).toBe(SILENT.length);
  expect(await result('alone-owner-failed')).toBeGreaterThanOrEqual(among(ALONE) - among(SILENT));
  expect(await result('shared')).toBeGreaterThanOrEqual(SHARED_CELLS.length - among([...SAID, ...ALONE]));
  // Each whole layer of which a client got a part at least, where there is no room.
  const refused = SHARED_CELLS.filter(
    ({ upstream, cache, pull }) =>
      pull === 'blob' && (cache === 'read-only' || cache === 'disk full') && ![...SAID, ...ALONE].includes(upstream),
  );
  const failed = `${METRICS.transferStores.name}{result="failed"}`;
  await until(async () => ((await world.metric(failed)) ?? 0) >= refused.length, { what: 'the stores that failed' });
  expect(world.copierLog().split('blob of a pull not stored').length - 1).toBe(await world.metric(failed));
});

describe('a copier that does not answer within the patience', () => {
  // Of which a busy copier has half to show that it lives.
  const PATIENCE_MS = 3_000;
  const impatient = (): Promise<RunningProxy> => world.startProxy(`${PATIENCE_MS}ms`);
  const pull = (proxy: RunningProxy, { digest }: MadeBlob): Promise<Pulled> =>
    pullOf(proxy, `${HOST}/late/blobs/${digest}`);
  const reads = ({ digest }: MadeBlob): number =>
    world.faults.log
      .requests({ host: HOST, kind: 'blob', method: 'GET' })
      .filter(({ reference }) => reference === digest).length;

  it('is waited for when it waits for upstream, which is read once for all', async () => {
    const [layer] = world.late as [MadeBlob];
    const slow = world.faults
      .host(HOST)
      .on({ kind: 'blob' })
      .latency(1.5 * PATIENCE_MS);
    const proxies = await Promise.all([impatient(), impatient()]);
    const pulls = Array.from({ length: 6 }, (_, at) => pull(proxies[at % 2]!, layer));
    const bytes = bytesOf(layer);
    for (const { answer } of await Promise.all(pulls))
      expect([answer.status, answer.body.equals(bytes)]).toEqual([200, true]);
    expect(reads(layer)).toBe(1);
    slow.clear();
    await Promise.all(proxies.map((proxy) => proxy.close()));
  }, 60_000);

  it('is waited for when it is too busy to answer, and says over NATS that it lives', async () => {
    const [, layer] = world.late as [MadeBlob, MadeBlob];
    const proxy = await impatient();
    const beats = await world.beats();
    await world.copier.kill('SIGSTOP');
    let answered: Pulled | undefined;
    const pulled = pull(proxy, layer).then((one) => (answered = one));
    const startedMs = performance.now();
    try {
      // Longer than one is waited for that shows no sign of life.
      await until(() => beats.say() && performance.now() - startedMs > 1.2 * PATIENCE_MS, { what: 'its patience' });
      expect(answered).toBeUndefined();
    } finally {
      await world.copier.kill('SIGCONT');
    }
    const { answer } = await pulled;
    expect([answer.status, answer.body.equals(bytesOf(layer)), reads(layer)]).toEqual([200, true, 1]);
    expect(await proxy.metrics.render()).toContain(`${METRICS.proxyShared.name}{result="shared"} 1`);
    await proxy.close();
  }, 60_000);

  it('is left when it hangs, though upstream would be waited for much longer, and then spared', async () => {
    const [, , ...layers] = world.late;
    const proxy = await impatient();
    await world.copier.kill('SIGSTOP');
    try {
      for (const layer of layers) {
        const { answer } = await pull(proxy, layer);
        expect([answer.status, answer.body.equals(bytesOf(layer)), reads(layer)]).toEqual([200, true, 1]);
      }
    } finally {
      await world.copier.kill('SIGCONT');
    }
    const text = await proxy.metrics.render();
    expect(text).toContain(`${METRICS.proxyShared.name}{result="alone-owner-away"} 1`);
    expect(text).toContain(`${METRICS.proxyShared.name}{result="alone-no-owner"} 1`);
    await proxy.close();
  }, 60_000);
});
