// scratch, not committed: ab.ts --dists a.js,b.js --cases hit,range,miss --size 1 --clients 1 --n 256 --rounds 8
import { readdirSync, readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { getBlob } from './blob-load.ts';
import { processTree, treeResidentMiB } from './process-tree.ts';
import { startAbBed } from './ab-bed.ts';
const MiB = 1024 * 1024;
const { values } = parseArgs({ options: {
  dists: { type: 'string', default: '' }, cases: { type: 'string', default: 'hit' }, size: { type: 'string', default: '1' },
  clients: { type: 'string', default: '1' }, n: { type: 'string', default: '256' }, rounds: { type: 'string', default: '8' },
  hold: { type: 'string', default: '' }, warm: { type: 'string', default: '2' },
} });
const size = Number(values.size) * MiB;
const cpu = (root: number): number => {
  let ns = 0;
  for (const pid of processTree(root)) for (const t of readdirSync(`/proc/${pid}/task`)) {
    try { ns += Number(readFileSync(`/proc/${pid}/task/${t}/schedstat`, 'utf8').split(' ')[0]); } catch {}
  }
  return ns / 1e6;
};
const bed = await startAbBed([1024, size], values.dists.split(','));
const digest = bed.image.blobs.find((b: any) => b.size === size)!.digest;
await bed.tell('1', bed.image.digest);
const med = (v: number[]): number => [...v].sort((a, b) => a - b)[v.length >> 1] ?? NaN;
process.on('SIGTERM', () => void bed.stop().then(() => process.exit(1)));
try {
  for (const kind of values.cases.split(',')) for (const c of values.clients.split(',').map(Number)) {
    const targets = (kind === 'miss' ? bed.misses : bed.hits).filter((t: any) => t.name !== 'registry');
    const get = (t: any) => { const a = t.authorization?.(); return { port: t.port, path: `${t.base}/blobs/${digest}`, ...(a ? { authorization: a } : {}), ...(kind === 'range' ? { range: `bytes=${size / 4}-${size - 1}` } : kind === 'part' || heat ? { range: 'bytes=0-98303' } : {}), bufferBytes: kind === 'part' || heat ? 131072 : 1048576 }; };
    let heat = false;
    const per = Math.ceil(Number(values.n) / c);
    const run = async (t: any) => {
      const g = get(t); const before = cpu(t.pid); const began = performance.now();
      await Promise.all(Array.from({ length: c }, async () => { for (let i = 0; i < per; i++) await getBlob(g); }));
      return { ms: (cpu(t.pid) - before) / (per * c), wall: (performance.now() - began) / per };
    };
    if (values.hold) {
      const t = targets.find((x: any) => x.name === values.hold);
      process.stdout.write(`HOLD ${t.pid}\n`);
      const until = performance.now() + Number(process.env['HOLD_S'] ?? 20) * 1000; let n = 0; const b = cpu(t.pid);
      while (performance.now() < until) { await run(t); n += per * c; }
      process.stdout.write(`${n} requests, ${((cpu(t.pid) - b) / n).toFixed(3)} ms each\n`);
      continue;
    }
    const got = new Map<any, { ms: number; wall: number }[]>(targets.map((t: any) => [t, []]));
    heat = true;
    for (const t of targets) if (t.name !== 'nginx') { const g = get(t); await Promise.all(Array.from({ length: 8 }, async () => { for (let i = 0; i < Number(process.env['HEAT'] ?? 250); i++) await getBlob(g); })); }
    heat = false;
    for (let w = 0; w < Number(values.warm); w++) for (const t of targets) await run(t);
    for (let r = 0; r < Number(values.rounds); r++) for (const t of targets) got.get(t)!.push(await run(t));
    const nginx = got.get(targets.find((t: any) => t.name === 'nginx'))!;
    for (const t of targets) {
      const of = got.get(t)!; const m = med(of.map((x) => x.ms)); const ratios = of.map((x, i) => x.ms / nginx[i]!.ms);
      process.stdout.write(`${kind} c=${c}  ${t.name.padEnd(11)} ms/req med ${m.toFixed(3)} min ${Math.min(...of.map((x) => x.ms)).toFixed(3)}  x nginx ${(m / med(nginx.map((x) => x.ms))).toFixed(2)} (med of ratios ${med(ratios).toFixed(2)})  wall ${med(of.map((x) => x.wall)).toFixed(2)}  rss ${treeResidentMiB(t.pid).toFixed(0)}\n`);
    }
  }
} finally { await bed.stop(); }
