import { short } from '../checklist.ts';
import { expectEqual, step, type Step } from './step.ts';
import { HOST, type Pulled, type World } from './world.ts';

interface Row extends Pulled {
  how: string;
  expected: string;
}

interface Outcome {
  rows: Row[];
  /** Requests that reached upstream meanwhile. */
  upstreamRequests: number;
}

const SHOP = `${HOST}/shop:1.0`;

/** Pulls the shop's image by tag, by digest and for the other platform; counts what upstream was asked. */
async function pullEveryWay(world: World, progress: (waitingFor: string) => void): Promise<Outcome> {
  const shop = world.pushed.get(SHOP)!;
  const before = world.faults.log.total({ host: HOST }).requests;
  const rows: Row[] = [];
  const ways: [how: string, reference: string, expected: string, options: { arch?: string; all?: boolean }][] = [
    ['by tag, all platforms', SHOP, shop.digest, { all: true }],
    ['by digest', `${HOST}/shop@${shop.digest}`, shop.digest, { all: true }],
    ['linux/arm64', SHOP, shop.platforms['linux/arm64']!, { arch: 'arm64' }],
  ];
  for (const [how, reference, expected, options] of ways) {
    progress(`skopeo to pull ${how}`);
    rows.push({ how, expected, ...(await world.pull(reference, options)) });
  }
  return { rows, upstreamRequests: world.faults.log.total({ host: HOST }).requests - before };
}

const pulls: Pick<Step<World, Outcome>, 'act' | 'check' | 'tell' | 'logs' | 'breakages'> = {
  act: pullEveryWay,
  logs: ['node-proxy', 'cache-reader'],
  check: ({ rows, upstreamRequests }) => [
    ...expectEqual('pulls', 3, rows.length),
    ...rows.flatMap((row) => expectEqual(`digest pulled ${row.how}`, row.expected, row.digest)),
    ...expectEqual('requests that upstream saw', 0, upstreamRequests),
  ],
  tell: ({ rows }) =>
    rows.map(
      (row) =>
        `${row.how.padEnd(22)} ${short(row.digest)} (cache, ${row.layers} layers verified, ${Math.round(row.ms)} ms)`,
    ),
  breakages: [
    {
      name: 'another digest',
      bend: (o) => ({ ...o, rows: o.rows.map((row, i) => (i === 2 ? { ...row, digest: o.rows[0]!.digest } : row)) }),
    },
    { name: 'upstream was asked', bend: (o) => ({ ...o, upstreamRequests: 1 }) },
    { name: 'a pull that did not happen', bend: (o) => ({ ...o, rows: o.rows.slice(0, 2) }) },
  ],
};

export const pulledFromCache = step<World, Outcome>({
  ...pulls,
  id: 'pulled',
  title: 'skopeo pulled shop:1.0 through the proxy, from the cache',
});

export const pulledWithoutUpstream = step<World, Outcome>({
  ...pulls,
  id: 'outlived',
  title: 'the same pulls, with upstream dead',
});

interface Stopped {
  running: boolean;
  refused: boolean;
}

/** Stops the upstream registry's process and breaks every name that led to it. */
export const upstreamStopped = step<World, Stopped>({
  id: 'stopped',
  title: 'upstream stopped',
  logs: ['upstream'],
  async act(world) {
    await Promise.all(world.faults.hostNames().map((name) => world.faults.host(name).down()));
    await world.parts.upstream.kill('SIGKILL');
    return { running: world.parts.upstream.running(), refused: await refuses(world.faults.host(HOST).url) };
  },
  check: ({ running, refused }) => [
    ...expectEqual('upstream process running', false, running),
    ...expectEqual('connection to upstream refused', true, refused),
  ],
  tell: () => [`process killed; connections to ${HOST} are refused`],
  breakages: [
    { name: 'a process that lives', bend: (o) => ({ ...o, running: true }) },
    { name: 'a name that still answers', bend: (o) => ({ ...o, refused: false }) },
  ],
});

async function refuses(url: string): Promise<boolean> {
  try {
    await fetch(`${url}/v2/`, { signal: AbortSignal.timeout(2_000) });
    return false;
  } catch (error) {
    const cause = (error as { cause?: { code?: string } }).cause;
    return cause?.code === 'ECONNREFUSED';
  }
}
