// Pulls through the node proxy, beside nginx and the barest relay of Node in front of the same registry, and the registry alone: interleaved,
// medians.
// Run: node bench/src/proxy.ts [--rounds 5] [--largest 1024] (MiB) [--only '1024 MiB c=1,hit 1 MiB']   services/node-proxy must be built; needs nginx and wrk
//      --against <dist/main.js of another revision>: that one takes turns with this one, which tells small differences
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { runBulk, type BulkCase, type BulkFigures } from './bulk-case.ts';
import { chosenCases } from './chosen-cases.ts';
import { hashCpuPerGb } from './hash-cost.ts';
import { startProxyBed, type Target } from './proxy-bed.ts';
import { runSmall, type SmallFigures } from './small-case.ts';
import { measureTagChanges } from './tag-changes.ts';

const MiB = 1024 * 1024;
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    largest: { type: 'string', default: '1024' },
    only: { type: 'string', default: '' },
    against: { type: 'string' },
  },
});
const wanted = chosenCases(values.only);
const rounds = Number(values.rounds);
const CLIENTS = [1, 4, 16];
const sizes = [MiB, 64 * MiB, 1024 * MiB].filter((size) => size <= Number(values.largest) * MiB);
const bodies = sizes
  .flatMap((size) =>
    CLIENTS.flatMap((clients) =>
      (['hit', 'miss', 'hit range'] as const).map((kind) => ({
        kind,
        size,
        clients,
        title: `${kind} ${size / MiB} MiB c=${clients}`,
      })),
    ),
  )
  .filter(({ title }) => wanted(title));

const line = (text: string): void => void process.stdout.write(`${text}\n`);
// What no case asks for is not made.
const bed = await startProxyBed([1024, ...new Set(bodies.map(({ size }) => size))], values.against);
try {
  line(`${cpus().length} x ${cpus()[0]?.model ?? 'unknown CPU'}, node ${process.version}, ${rounds} rounds`);
  const digestOf = (size: number): string => bed.image.blobs.find((blob) => blob.size === size)!.digest;
  await bed.tell('1', bed.image.digest);

  line('\nsmall answers           contestant      req/s   ms CPU   p99 ms   x registry');
  const small: [string, string, readonly Target[]][] = [
    ['manifest by digest', `/manifests/${bed.image.digest}`, bed.hits],
    ['manifest by tag', '/manifests/1', bed.hits],
    ['1 KiB blob hit', `/blobs/${digestOf(1024)}`, bed.hits],
    ['1 KiB blob miss', `/blobs/${digestOf(1024)}`, bed.misses],
  ];
  for (const [title, path, targets] of small) {
    for (const clients of CLIENTS) {
      const name = `${title} c=${clients}`;
      if (wanted(name)) printSmall(name, await runSmall({ targets, path, clients, rounds, seconds: 2 }));
    }
  }

  line('\nbodies                  contestant       GB/s  cpu-s/GB   x nginx   MiB');
  for (const { kind, size, clients, title } of bodies) {
    const bulk = { digest: digestOf(size), bytes: size, clients, rounds: size * clients > 8192 * MiB ? 1 : rounds };
    const part: Partial<BulkCase> =
      kind === 'hit range' ? { bytes: (size * 3) / 4, range: `bytes=${size / 4}-${size - 1}` } : {};
    const targets = kind === 'miss' ? bed.misses : bed.hits;
    const figures = await runBulk({ ...bulk, ...part, title, targets });
    printBulk(title, figures);
    if (kind === 'miss') printHashed(title, figures, hashCpuPerGb());
  }

  if (wanted('a tag changed')) {
    line('\na tag changed in the cache, seconds until it showed');
    for (const [what, seconds] of Object.entries<number>({ ...(await measureTagChanges(bed)) }))
      line(`${what.padEnd(24)}${seconds.toFixed(2)}`);
  }
} finally {
  await bed.stop();
}

function printSmall(title: string, figures: readonly SmallFigures[]): void {
  const base = figures.find(({ name }) => name === 'registry')!.perSecond;
  for (const { name, perSecond, cpuMs, p99Ms } of figures) {
    line(
      title.padEnd(24) +
        name.padEnd(12) +
        perSecond.toFixed(0).padStart(9) +
        cpuMs.toFixed(3).padStart(9) +
        p99Ms.toFixed(2).padStart(9) +
        (perSecond / base).toFixed(2).padStart(13),
    );
  }
}

/** What comes from upstream is hashed on its way, which nginx does not do. */
function printHashed(title: string, figures: readonly BulkFigures[], hashPerGb: number): void {
  const of = (wanted: Target['name']): number => figures.find(({ name }) => name === wanted)!.cpuPerGb;
  const ratio = of('node-proxy') / (of('nginx') + hashPerGb);
  line(`${title.padEnd(24)}sha256 alone ${hashPerGb.toFixed(2)}, node-proxy / (nginx + sha256) ${ratio.toFixed(2)}`);
}

function printBulk(title: string, figures: readonly BulkFigures[]): void {
  const base = figures.find(({ name }) => name === 'nginx')!.cpuPerGb;
  for (const { name, gbPerSecond, cpuPerGb, mib } of figures) {
    line(
      title.padEnd(24) +
        name.padEnd(12) +
        gbPerSecond.toFixed(2).padStart(9) +
        cpuPerGb.toFixed(2).padStart(10) +
        (cpuPerGb / base).toFixed(2).padStart(10) +
        mib.toFixed(0).padStart(6),
    );
  }
}
