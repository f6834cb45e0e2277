// Admissions per second, latency and CPU of the webhook, beside a bare node:https server that only says `allowed: true`.
// Run: node bench/src/webhook.ts [rounds]   (services/webhook must be built)
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createAuthority, issueCertificate } from '@kuik/runtime';
import { freePort, startNats, until } from '@kuik/testbed';
import { reviewRequest } from './admission-review.ts';
import { cpuSeconds, residentMiB } from './process-cpu.ts';
import { runLoad } from './tls-load.ts';

interface Target {
  readonly name: string;
  readonly port: number;
  readonly process: ChildProcess;
}

interface Sample {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly cpuMs: number;
}

const ROUNDS = Number(process.argv[2] ?? 5);
const LOADS = [
  { connections: 1, requests: 4_000 },
  { connections: 32, requests: 8_000 },
] as const;

const folder = mkdtempSync(path.join(tmpdir(), 'kuik-bench-'));
const authority = createAuthority({ commonName: 'bench', days: 1, now: new Date() });
const nats = await startNats();
const children: ChildProcess[] = [];
try {
  const targets = [await startWebhook(), await startBare()];
  const request = reviewRequest();
  const warm = { ca: authority.certificate, request, connections: 1, requests: 3_000 };
  const first = await runLoad({ ...warm, port: targets[0]!.port, requests: 1 });
  console.log(`first request after start: ${first.p50Ms.toFixed(1)} ms`);
  for (const target of targets) await runLoad({ ...warm, port: target.port });
  const samples = new Map<string, Sample[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const load of LOADS) {
      for (const target of targets) {
        const pid = target.process.pid!;
        const before = cpuSeconds(pid);
        const result = await runLoad({ ...load, port: target.port, ca: authority.certificate, request });
        const cpuMs = ((cpuSeconds(pid) - before) * 1000) / load.requests;
        const key = `${target.name} c=${load.connections}`;
        samples.set(key, [...(samples.get(key) ?? []), { ...result, cpuMs }]);
      }
    }
  }
  print(samples, targets);
} finally {
  for (const child of children) child.kill('SIGTERM');
  await nats.stop();
  rmSync(folder, { recursive: true, force: true });
}

async function startWebhook(): Promise<Target> {
  const [port, healthPort] = [await freePort(), await freePort()];
  const { key, certificate } = certificateFiles('webhook');
  const seed = path.join(folder, 'nkey');
  writeFileSync(seed, nats.seeds.webhook, { mode: 0o600 });
  const child = start('webhook', [new URL('../../services/webhook/dist/main.js', import.meta.url).pathname], {
    KUIK_NATS_URL: nats.url,
    KUIK_NATS_NKEY_FILE: seed,
    KUIK_LISTEN_HOST: '127.0.0.1',
    KUIK_LISTEN_PORT: String(port),
    KUIK_HTTP_HOST: '127.0.0.1',
    KUIK_HTTP_PORT: String(healthPort),
    KUIK_CERTIFICATE_CERTIFICATE_FILE: certificate,
    KUIK_CERTIFICATE_KEY_FILE: key,
  });
  await until(async () => (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).ok, {
    what: 'the webhook to be ready',
    timeoutMs: 20_000,
  });
  return { name: 'webhook', port, process: child };
}

async function startBare(): Promise<Target> {
  const port = await freePort();
  const { key, certificate } = certificateFiles('bare');
  const child = start(
    'bare',
    [new URL('./bare-https.ts', import.meta.url).pathname, key, certificate, String(port)],
    {},
  );
  const request = reviewRequest();
  const load = { port, ca: authority.certificate, request, connections: 1, requests: 1 };
  await until(() => runLoad(load), { what: 'the bare server to answer' });
  return { name: 'bare node:https', port, process: child };
}

function certificateFiles(name: string): { key: string; certificate: string } {
  const issued = issueCertificate(authority, {
    commonName: name,
    days: 1,
    now: new Date(),
    hosts: ['127.0.0.1'],
    usages: ['server'],
  });
  const files = { key: path.join(folder, `${name}.key`), certificate: path.join(folder, `${name}.crt`) };
  writeFileSync(files.key, issued.privateKey, { mode: 0o600 });
  writeFileSync(files.certificate, issued.certificate);
  return files;
}

function start(name: string, args: string[], env: Record<string, string>): ChildProcess {
  const log = openSync(path.join(folder, `${name}.log`), 'a');
  const child = spawn(process.execPath, args, {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', log, log],
  });
  children.push(child);
  return child;
}

function print(samples: ReadonlyMap<string, readonly Sample[]>, targets: readonly Target[]): void {
  const median = (of: readonly Sample[], field: keyof Sample): number => {
    const values = of.map((sample) => sample[field]).sort((a, b) => a - b);
    return values[Math.floor(values.length / 2)] ?? NaN;
  };
  console.log(`two-container pod, ${reviewRequest().length} bytes, TLS keep-alive; medians of ${ROUNDS}, interleaved`);
  console.log(
    `${'target'.padEnd(24)}${['req/s', 'p50 ms', 'p99 ms', 'CPU ms/req'].map((text) => text.padStart(12)).join('')}`,
  );
  for (const [name, list] of samples) {
    const row = [
      median(list, 'perSecond').toFixed(0),
      median(list, 'p50Ms').toFixed(3),
      median(list, 'p99Ms').toFixed(2),
      median(list, 'cpuMs').toFixed(3),
    ];
    console.log(`${name.padEnd(24)}${row.map((text) => text.padStart(12)).join('')}`);
  }
  for (const { connections } of LOADS) {
    const ours = samples.get(`webhook c=${connections}`) ?? [];
    const bare = samples.get(`bare node:https c=${connections}`) ?? [];
    const ratio = (field: keyof Sample): string => (median(ours, field) / median(bare, field)).toFixed(2);
    console.log(
      `ratio to bare node:https, c=${connections}: req/s ${ratio('perSecond')}, p50 ${ratio('p50Ms')}, p99 ${ratio('p99Ms')}, CPU ${ratio('cpuMs')}`,
    );
  }
  for (const { name, process: child } of targets) console.log(`RSS ${name}: ${residentMiB(child.pid!).toFixed(0)} MiB`);
}
