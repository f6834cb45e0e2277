// Holds the map in docs/architecture.md against the tree: every workspace is in it, every dependency is allowed by it.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';

interface Manifest {
  name: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

/** Rows of the map: workspace folder -> names of workspaces that it may depend on. */
export function readMap(markdown: string): Map<string, Set<string>> {
  const rows = markdown.matchAll(/^\| `([a-z0-9/-]+)` +\| (?:noun|adapter|kit|bed|service) +\| [^|]+\| ([^|]+)\|$/gm);
  return new Map(
    [...rows].map((row) => [
      row[1]!,
      new Set(
        row[2]!
          .split(',')
          .map((name) => name.trim())
          .filter((name) => name !== '-'),
      ),
    ]),
  );
}

/** What is wrong between map and tree, one line each; empty when the map is true. */
export function compare(map: ReadonlyMap<string, ReadonlySet<string>>, tree: ReadonlyMap<string, Manifest>): string[] {
  const wrong: string[] = [];
  for (const folder of tree.keys())
    if (!map.has(folder)) wrong.push(`${folder} is not in the map of docs/architecture.md`);
  for (const folder of map.keys())
    if (!tree.has(folder)) wrong.push(`${folder} is in the map of docs/architecture.md but not in the tree`);
  for (const [folder, manifest] of tree) {
    const allowed = map.get(folder);
    if (allowed === undefined) continue;
    const used = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith('@kuik/'));
    for (const name of used)
      if (!allowed.has(name.slice(6))) wrong.push(`${folder} depends on ${name}, which its row does not allow`);
    for (const name of allowed)
      if (!used.includes(`@kuik/${name}`)) wrong.push(`${folder}'s row names ${name}, which it does not depend on`);
    const dev = Object.keys(manifest.devDependencies ?? {}).filter((name) => name.startsWith('@kuik/'));
    for (const name of dev)
      if (name !== '@kuik/testbed') wrong.push(`${folder} has ${name} as devDependency: only @kuik/testbed may be`);
  }
  return wrong;
}

function readTree(): Map<string, Manifest> {
  const files = globSync([
    'packages/*/package.json',
    'services/*/package.json',
    'e2e/package.json',
    'bench/package.json',
  ]);
  return new Map(files.sort().map((file) => [dirname(file), JSON.parse(readFileSync(file, 'utf8')) as Manifest]));
}

/** Rooms that every service must have. */
function missingRooms(folders: Iterable<string>): string[] {
  const rooms = ['README.md', 'src/main.ts', 'src/config.ts', 'src/app.ts'];
  return [...folders]
    .filter((folder) => folder.startsWith('services/'))
    .flatMap((folder) =>
      rooms.filter((room) => !existsSync(`${folder}/${room}`)).map((room) => `${folder} has no ${room}`),
    );
}

if (import.meta.main) {
  const tree = readTree();
  const wrong = [...compare(readMap(readFileSync('docs/architecture.md', 'utf8')), tree), ...missingRooms(tree.keys())];
  for (const line of wrong) console.error(line);
  if (wrong.length === 0) console.log(`docs/architecture.md is true for ${tree.size} workspaces`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
