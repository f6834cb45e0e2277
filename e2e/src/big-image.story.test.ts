import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { freePort, makeImage, until, type ServiceProcess } from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { ask } from './behaviours/raw-client.ts';
import { leaseLocalParts } from './stack/local-parts.ts';
import { LocalStack } from './stack/local-stack.ts';
import { startReplicas } from './stack/start-replicas.ts';
import { nameRepository } from './story/name-repository.ts';
import { HOST } from './story/world.ts';

const MiB = 1024 * 1024;
const BYTES = sized({ usual: 32, full: 1024 }) * MiB;
const BYTES_PER_SECOND = sized({ usual: 16, full: 64 }) * MiB;
const CLIENTS = 16;
/** So much of the layer upstream sends before the first clients have their first byte. */
const HELD_AFTER = MiB;
const DEATHS_AT = [0.4, 0.7];
/** What a death costs does not shrink with the image: what was in sockets, and in memory while the disk stalled. */
const IN_HAND = sized({ usual: 2, full: 0 }) * MiB;
const TIMEOUT_MS = sized({ usual: 60_000, full: 600_000 });
/** The product's own, longer than the time between the two deaths: nobody waits for it. */
const LOCK = '10s';
/** Whatever the size of the layer. */
const PEAK_MIB = { proxy: 128, copier: 256 };
/** Nothing is admitted, monitored or removed. */
const BYTES_ONLY = { webhook: 0, monitor: 0, gc: 0, 'pod-watcher': 1 };

let stack: LocalStack;
let proxies: { process: ServiceProcess; prefix: string }[];
beforeAll(async () => {
  const parts = await leaseLocalParts({ environment: { KUIK_COPY_LOCK: LOCK } });
  const secondPort = await freePort();
  const second = { ...parts, facts: { ...parts.facts, proxyPort: secondPort } };
  let [neighbour]: ServiceProcess[] = [];
  const stop = async (): Promise<void> => {
    await neighbour?.stop();
    await parts.stop();
  };
  stack = await LocalStack.onParts(parts, stop, { replicas: BYTES_ONLY });
  [neighbour] = await startReplicas('node-proxy', second);
  proxies = [
    { process: stack.services['node-proxy'][0]!, prefix: stack.proxyPrefix },
    { process: neighbour!, prefix: `localhost:${secondPort}` },
  ];
}, 60_000);
afterAll(() => stack?.stop());

/** The most that was ever resident, MiB; what is resident now where the system does not tell. */
const peakMiB = async (process: ServiceProcess): Promise<number> =>
  globalThis.process.platform === 'linux'
    ? Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${process.pid}/status`, 'utf8'))![1]) / 1024
    : (await stack.metric(process, 'process_resident_memory_bytes')) / MiB;
const whole = (mibs: readonly number[]): string => mibs.map((mib) => mib.toFixed(0)).join(', ');
const active = (copier: ServiceProcess) => stack.metric(copier, 'kuik_transfers_active');

it(
  'a large image is read from upstream once for sixteen clients on two nodes, though the connection is cut and its owners die',
  async () => {
    const made = await makeImage({ seed: 'big', layers: [{ bytes: BYTES, encoding: 'raw' }] });
    await stack.push(HOST, 'big', ['1'], made);
    // No pod uses it, so that nobody copies it: the pulls alone are seen.
    await nameRepository(stack.api, `${HOST}/big`);
    const layer = made.blobs.find(({ size }) => size === BYTES)!.digest;
    const upstream = stack.faults.host(HOST).on({ kind: 'blob', method: 'GET', reference: layer });
    upstream.drip(BYTES_PER_SECOND);
    // As a load balancer does that allows no long connections.
    upstream.cutAt(BYTES / 4).times(1);
    const held = upstream.holdAfter(HELD_AFTER);
    const reads = () =>
      stack.faults.log.requests({ kind: 'blob', method: 'GET' }).filter(({ reference }) => reference === layer);
    const egress = (): number => reads().reduce((sum, { bytes }) => sum + bytes, 0);
    const copiers = stack.services['image-copier'];
    for (const { process } of proxies)
      await until(async () => (await stack.metric(process, 'kuik_proxy_transfer_owners')) === copiers.length, {
        what: 'each proxy to know the copiers',
      });

    const firstBytes: number[] = [];
    const pull = (client: number) => {
      const since = performance.now();
      return ask(proxies[client % 2]!.prefix.replace('localhost', '127.0.0.1'), `/v2/${HOST}/big/blobs/${layer}`, {
        atFirstBytes: () => Promise.resolve(void firstBytes.push(performance.now() - since)),
        timeoutMs: TIMEOUT_MS,
      });
    };
    const early = Array.from({ length: CLIENTS / 2 }, (_, client) => pull(client));
    await stack.faults.log.untilRequest(
      ({ reference, bytes }) => reference === layer && bytes === HELD_AFTER,
      10_000,
      'the read',
    );
    await until(() => firstBytes.length === early.length, { what: 'their first byte to be with all clients' });
    expect(egress()).toBe(HELD_AFTER);
    held.clear();
    await until(() => egress() > 0.25 * BYTES, { what: 'a quarter of the layer', timeoutMs: TIMEOUT_MS });
    const late = Array.from({ length: CLIENTS / 2 }, (_, client) => pull(client));
    const kills: string[] = [];
    for (const part of DEATHS_AT) {
      await until(() => egress() > part * BYTES, { what: `${part} of the layer`, timeoutMs: TIMEOUT_MS });
      const owner = await until(
        async () =>
          (await Promise.all(copiers.map(async (copier) => [await active(copier), copier] as const))).find(
            ([count]) => count === 1,
          )?.[1],
        { what: 'an owner' },
      );
      await owner.kill('SIGKILL');
      await owner.restart();
      kills.push(owner.name);
    }
    const answers = await Promise.all([...early, ...late]);
    expect(answers.map(({ status, digest, complete }) => ({ status, digest, complete }))).toEqual(
      answers.map(() => ({ status: 200, digest: layer, complete: true })),
    );
    await until(() => stack.inCache(`${HOST}/big`, layer), { what: 'the layer to be in the cache' });
    const extra = egress() - BYTES;
    const spans = reads().map(({ range = 'bytes=0-', bytes }) => {
      const from = Number(/\d+/.exec(range)![0]);
      return `${(from / MiB).toFixed(2)} to ${((from + bytes) / MiB).toFixed(2)}`;
    });
    const peaks = await Promise.all(proxies.map(({ process }) => peakMiB(process)));
    const ofCopiers = await Promise.all(copiers.map(peakMiB));
    const joins = await Promise.all(
      proxies.map(async ({ process }) => [
        await stack.metric(process, 'kuik_proxy_shared_reads_total', { result: 'shared' }),
        await stack.metric(process, 'kuik_proxy_shared_reads_total'),
      ]),
    );
    console.log(
      `${CLIENTS} clients, shared of all reads of each proxy ${joins.map((of) => of.join('/')).join(', ')}; upstream read ${spans.join(', ')} MiB: ${(egress() / BYTES).toFixed(3)} times the layer, killed ${kills.join(', ')}; ` +
        `first byte at most ${Math.max(...firstBytes).toFixed(0)} ms; proxies ${whole(peaks)} MiB at most, copiers ${whole(ofCopiers)}`,
    );
    expect(extra).toBeLessThanOrEqual(0.05 * BYTES + DEATHS_AT.length * IN_HAND);
    for (const mib of peaks) expect(mib).toBeLessThanOrEqual(PEAK_MIB.proxy);
    for (const mib of ofCopiers) expect(mib).toBeLessThanOrEqual(PEAK_MIB.copier);
  },
  TIMEOUT_MS,
);
