import { makeImage, until, type ServiceProcess } from '@kuik/testbed';
import { short } from '../checklist.ts';
import { cachedImages, printedCachedImages, untilReady } from './cached-images.ts';
import { pod } from './pods.ts';
import { expectEqual, expectTrue, step } from './step.ts';
import { HOST, type World } from './world.ts';

const MiB = 1024 * 1024;
const BIG = `${HOST}/big:1`;

interface Takeover {
  killed: string;
  digest: string | undefined;
  expected: string;
  /** Whole transfers from upstream of each blob that was finished before the kill. */
  finishedAgain: Record<string, number>;
  ms: number;
}

/** Slows upstream down, kills the worker in mid-copy, and waits for the other one to finish its job. */
export const workerKilled = step<World, Takeover>({
  id: 'takeover',
  title: 'image-copier killed in mid-copy: finished by the other, no finished blob copied twice',
  logs: ['image-copier'],
  async act(world, progress) {
    const image = await makeImage({ seed: 'big', layers: [24 * MiB, 2 * MiB, MiB] });
    const pushed = await world.push(HOST, 'big', ['1'], image);
    const largest = Object.entries(pushed.blobs).sort(([, a], [, b]) => b - a)[0]![0];
    const slow = world.faults
      .host(HOST)
      .on({ kind: 'blob', reference: largest })
      .drip(6 * MiB);
    const whole = (digest: string): number =>
      world.faults.log
        .requests({ host: HOST, kind: 'blob', method: 'GET' })
        .filter(
          (request) =>
            request.reference === digest && request.outcome === 'done' && request.bytes === pushed.blobs[digest],
        ).length;
    await world.api.create('/api/v1/namespaces/default/pods', pod('big', [{ name: 'app', image: BIG }]));
    progress('a copy to be under way with a blob finished');
    const small = Object.keys(pushed.blobs).filter((digest) => digest !== largest);
    await until(
      async () => {
        const held = await Promise.all(small.map((digest) => world.inCache(`${HOST}/big`, digest)));
        return held.every(Boolean);
      },
      { timeoutMs: 20_000, what: 'the small blobs to be in the cache' },
    );
    const busy = await untilBusy(world);
    const since = performance.now();
    await busy.kill('SIGKILL');
    slow.clear();
    await untilReady(world.api, [BIG], progress);
    const ms = performance.now() - since;
    await busy.restart();
    const done = (await cachedImages(world.api)).get(BIG);
    return {
      killed: busy.name,
      digest: done?.status?.cache?.digest,
      expected: pushed.digest,
      finishedAgain: Object.fromEntries(small.map((digest) => [digest, whole(digest)])),
      ms,
    };
  },
  check: ({ digest, expected, finishedAgain }) => [
    ...expectEqual(`digest of ${BIG}`, expected, digest),
    ...expectTrue('finished blobs', Object.keys(finishedAgain).length > 0, 'at least one', 'none'),
    ...Object.entries(finishedAgain).flatMap(([blob, times]) => expectEqual(`transfers of ${short(blob)}`, 1, times)),
  ],
  tell: ({ killed, ms, finishedAgain }) => [
    `${killed} killed (SIGKILL); copy finished ${(ms / 1000).toFixed(1)} s later; ${Object.keys(finishedAgain).length} finished blobs were not fetched again`,
  ],
  breakages: [
    {
      name: 'a blob copied twice',
      bend: (o) => ({ ...o, finishedAgain: Object.fromEntries(Object.keys(o.finishedAgain).map((key) => [key, 2])) }),
    },
    { name: 'no copy', bend: ({ digest: _gone, ...o }) => ({ ...o, digest: undefined }) },
  ],
});

async function untilBusy(world: World): Promise<ServiceProcess> {
  let found: ServiceProcess | undefined;
  await until(
    async () => {
      for (const copier of world.services['image-copier'])
        if ((await world.metric(copier, 'kuik_copies_active')) > 0) found = copier;
      return found !== undefined;
    },
    { timeoutMs: 10_000, what: 'an image-copier to be busy' },
  );
  return found!;
}

interface Alone {
  gone: string[];
  startedInMs: number;
  byTag: string;
  byDigest: string;
  expected: string;
}

/** Takes NATS, the broker and the API server away, restarts the proxy in that silence, pulls, and brings everything back. */
export const proxyAlone = step<World, Alone>({
  id: 'alone',
  title: 'proxy restarted with NATS, broker and API server down: still serving',
  logs: ['node-proxy'],
  async act(world, progress) {
    const { nats, 'kube-apiserver': apiserver } = world.parts;
    const gone = [...world.services['pod-watcher'], nats, apiserver!];
    const proxy = world.services['node-proxy'][0]!;
    const shop = world.pushed.get(`${HOST}/shop:1.0`)!;
    progress('the other parts to die');
    await Promise.all(gone.map((part) => part.kill('SIGKILL')));
    try {
      const since = performance.now();
      await proxy.restart();
      const startedInMs = performance.now() - since;
      progress('skopeo to pull from a proxy that is alone');
      const byTag = await world.pull(`${HOST}/shop:1.0`, { all: true });
      const byDigest = await world.pull(`${HOST}/shop@${shop.digest}`, { all: true });
      return {
        gone: gone.filter((part) => !part.running()).map((part) => part.name),
        startedInMs,
        byTag: byTag.digest,
        byDigest: byDigest.digest,
        expected: shop.digest,
      };
    } finally {
      progress('the other parts to be back');
      await Promise.all([nats.restart(), apiserver!.restart()]);
      await Promise.all(world.services['pod-watcher'].map((process) => process.restart()));
    }
  },
  check: ({ gone, startedInMs, byTag, byDigest, expected }) => [
    ...expectEqual('parts that were dead meanwhile', 4, gone.length),
    ...expectEqual('digest pulled by tag', expected, byTag),
    ...expectEqual('digest pulled by digest', expected, byDigest),
    ...expectTrue(
      'start of the proxy',
      startedInMs < 4_000,
      'under 4 s with its old process ended',
      `${Math.round(startedInMs)} ms`,
    ),
  ],
  tell: ({ gone, startedInMs, byTag }) => [
    `dead: ${gone.join(', ')}; proxy back in ${(startedInMs / 1000).toFixed(1)} s; by tag and by digest ${short(byTag)}`,
  ],
  breakages: [
    { name: 'somebody else was alive', bend: (o) => ({ ...o, gone: o.gone.slice(1) }) },
    { name: 'another digest by tag', bend: (o) => ({ ...o, byTag: `sha256:${'0'.repeat(64)}` }) },
    { name: 'another digest by digest', bend: (o) => ({ ...o, byDigest: `sha256:${'0'.repeat(64)}` }) },
    { name: 'a slow start', bend: (o) => ({ ...o, startedInMs: 60_000 }) },
  ],
});

interface Table {
  /** What the API server prints, by column. */
  rows: Record<string, string>[];
  columns: string[];
  expected: number;
}

/** The monitor may have looked while upstream was dead. */
const UPSTREAM = new Set(['Available', 'Unreachable']);
const COLUMNS = ['Image', 'Status', 'Upstream', 'Used by', 'Expires', 'Size', 'Age'];

/** What is cached in the end, as `kubectl get cachedimages` tells it: the API server itself renders the table. */
export const tableOfCached = step<World, Table>({
  id: 'table',
  title: 'what is cached, as kubectl get cachedimages prints it',
  logs: ['pod-watcher'],
  async act(world) {
    return { expected: 5, ...(await printedCachedImages(world.api)) };
  },
  check: ({ rows, columns, expected }) => [
    ...expectEqual('columns', ['Name', ...COLUMNS], columns),
    ...expectEqual('CachedImages', expected, rows.length),
    ...rows.flatMap((row) => [
      ...expectEqual(`status of ${row['Image']}`, 'Ready', row['Status']),
      ...expectTrue(
        `upstream of ${row['Image']}`,
        UPSTREAM.has(row['Upstream'] ?? ''),
        [...UPSTREAM].join(' or '),
        String(row['Upstream']),
      ),
      ...expectEqual(`pods that use ${row['Image']}`, '1', row['Used by']),
      ...expectTrue(`size of ${row['Image']}`, /^\d.* [KM]iB$/.test(row['Size'] ?? ''), 'a size', String(row['Size'])),
    ]),
  ],
  tell: ({ rows }) => inColumns([COLUMNS.map((name) => name.toUpperCase()), ...rows.map(cellsOf)]),
  breakages: [
    {
      name: 'an image that is not Ready',
      bend: (o) => ({ ...o, rows: o.rows.map((row, i) => (i === 0 ? { ...row, Status: 'Waiting' } : row)) }),
    },
    { name: 'an image too many', bend: (o) => ({ ...o, rows: [...o.rows, o.rows[0]!] }) },
    {
      name: 'an image that nobody uses',
      bend: (o) => ({ ...o, rows: o.rows.map((row) => ({ ...row, 'Used by': '0' })) }),
    },
    { name: 'a column that is missing', bend: (o) => ({ ...o, columns: o.columns.slice(1) }) },
    { name: 'no sizes', bend: (o) => ({ ...o, rows: o.rows.map((row) => ({ ...row, Size: '-' })) }) },
  ],
});

function cellsOf(row: Record<string, string>): string[] {
  return COLUMNS.map((name) => (row[name] ?? '').replace(/@sha256:(..)[0-9a-f]+/, '@sha256:$1..'));
}

function inColumns(lines: readonly string[][]): string[] {
  const widths = COLUMNS.map((_, at) => Math.max(...lines.map((cells) => cells[at]?.length ?? 0)));
  return lines.map((cells) =>
    cells
      .map((cell, at) => cell.padEnd(widths[at]! + 3))
      .join('')
      .trimEnd(),
  );
}
