/**
 * How many CPU seconds this process spends per GB read from a registry: the raw path beside undici, with and without sha256,
 * into nothing and relayed into a TCP socket (what the node proxy does).
 *
 *   node packages/registry/bench/blob-read.ts <registry url> <repository> <digest> <relay port>
 *
 * The blob has to exist; the relay port is any TCP server that throws away what it gets.
 */
import { connect, type Socket } from 'node:net';
import { parseArgs } from 'node:util';
import { Agent, request } from 'undici';
import { createRegistryAccess, type ByteSink } from '../src/index.ts';

const ROUNDS = 5;
const [registry = '', repository = '', digest = '', relayPort = ''] = parseArgs({ allowPositionals: true }).positionals;

const access = createRegistryAccess({ cache: { idleMs: 30_000 } });
const client = access.cache({ url: registry }, repository);
const agent = new Agent();
const socket: Socket = await new Promise((resolve) => {
  const made = connect(Number(relayPort), '127.0.0.1', () => resolve(made));
});

const nothing: ByteSink = () => undefined;
const relay: ByteSink = (chunk) =>
  new Promise((resolve, reject) => socket.write(chunk, (error) => (error ? reject(error) : resolve())));

async function raw(sink: ByteSink, verify: boolean): Promise<number> {
  const blob = await client.openBlob(digest, { verify });
  await blob.deliver(sink);
  return blob.length;
}

async function viaUndici(sink: ByteSink): Promise<number> {
  const { body } = await request(`${registry}/v2/${repository}/blobs/${digest}`, { dispatcher: agent });
  let bytes = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    await sink(chunk);
  }
  return bytes;
}

const contestants: Record<string, () => Promise<number>> = {
  'raw, read only': () => raw(nothing, false),
  'raw, sha256': () => raw(nothing, true),
  'raw, relay': () => raw(relay, false),
  'raw, relay, sha256': () => raw(relay, true),
  'undici, read only': () => viaUndici(nothing),
  'undici, relay': () => viaUndici(relay),
};

const results = new Map<string, { cpu: number; rate: number }[]>();
for (let round = 0; round < ROUNDS; round += 1) {
  for (const [name, run] of Object.entries(contestants)) {
    const cpu = process.cpuUsage();
    const started = performance.now();
    const gigabytes = (await run()) / 1e9;
    const used = process.cpuUsage(cpu);
    const list = results.get(name) ?? [];
    list.push({
      cpu: (used.user + used.system) / 1e6 / gigabytes,
      rate: gigabytes / ((performance.now() - started) / 1000),
    });
    results.set(name, list);
  }
}
const median = (values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
for (const [name, list] of results) {
  const cpu = median(list.map((one) => one.cpu)).toFixed(2);
  const rate = median(list.map((one) => one.rate)).toFixed(2);
  console.log(`${name.padEnd(22)} ${cpu} cpu-s/GB  ${rate} GB/s`);
}
console.log(`rss ${Math.round(process.memoryUsage.rss() / 2 ** 20)} MiB`);
socket.destroy();
await agent.close();
await access.close();
