// Holds the map in docs/architecture.md against the tree: every workspace is in it, every dependency is allowed by it,
// and every file that it sends the reader to is there.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';

interface Manifest {
  name: string;
  dependencies?: Record<string, string>;
  devDependencies?: Record<string, string>;
}

/** What tests of every workspace may use beside what its row allows. */
const FOR_TESTS: readonly string[] = ['@kuik/testbed', '@kuik/tooling'];

/** One row of the map: what the workspace is, and the names of workspaces that it may depend on. */
interface Row {
  readonly kind: string;
  readonly may: ReadonlySet<string>;
}

/** Rows of the map by workspace folder. */
export function readMap(markdown: string): Map<string, Row> {
  const rows = markdown.matchAll(/^\| `([a-z0-9/-]+)` +\| (noun|adapter|kit|bed|service) +\| [^|]+\| ([^|]+)\|$/gm);
  return new Map(
    [...rows].map(([, folder, kind, names]) => {
      const may = names!.split(',').map((name) => name.trim());
      return [folder!, { kind: kind!, may: new Set(may.filter((name) => name !== '-')) }];
    }),
  );
}

/**
 * Files that the table "Find a behaviour" names, from the top of the repository; a name without a folder lies beside the one before it.
 */
export function namedFiles(markdown: string): string[] {
  const table = markdown.slice(markdown.indexOf('## Find a behaviour'));
  return [...table.matchAll(/^\| [^|]+\?\s+\|(.+)\|$/gm)].flatMap((row) => {
    let folder = '';
    const names = [...row[1]!.matchAll(/`([^`]+)`/g)].map((match) => match[1]!);
    return names
      .filter((name) => !name.includes('<'))
      .map((name) => {
        if (!name.includes('/')) return `${folder}/${name}`;
        folder = dirname(name);
        return name;
      });
  });
}

/** What is wrong between map and tree, one line each; empty when the map is true. */
export function compare(map: ReadonlyMap<string, Row>, tree: ReadonlyMap<string, Manifest>): string[] {
  const wrong: string[] = [];
  for (const folder of tree.keys())
    if (!map.has(folder)) wrong.push(`${folder} is not in the map of docs/architecture.md`);
  for (const folder of map.keys())
    if (!tree.has(folder)) wrong.push(`${folder} is in the map of docs/architecture.md but not in the tree`);
  for (const [folder, manifest] of tree) {
    const row = map.get(folder);
    if (row === undefined) continue;
    const allowed = row.may;
    const used = Object.keys(manifest.dependencies ?? {}).filter((name) => name.startsWith('@kuik/'));
    for (const name of used)
      if (!allowed.has(name.slice(6))) wrong.push(`${folder} depends on ${name}, which its row does not allow`);
    for (const name of allowed)
      if (!used.includes(`@kuik/${name}`)) wrong.push(`${folder}'s row names ${name}, which it does not depend on`);
    // A service's row is written from its package.json: what it may depend on at all is held here.
    for (const name of row.kind === 'service' ? used.filter((name) => allowed.has(name.slice(6))) : []) {
      const kind = map.get(`packages/${name.slice(6)}`)?.kind ?? 'service';
      if (!['noun', 'adapter', 'kit'].includes(kind))
        wrong.push(`${folder} depends on ${name}, a ${kind}: a service may on nouns, adapters and kits`);
    }
    const dev = Object.keys(manifest.devDependencies ?? {}).filter((name) => name.startsWith('@kuik/'));
    for (const name of dev)
      if (!FOR_TESTS.includes(name))
        wrong.push(`${folder} has ${name} as devDependency: only ${FOR_TESTS.join(' and ')} may be`);
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
  const rooms = ['README.md', 'service.yaml', 'src/main.ts', 'src/config.ts', 'src/app.ts'];
  return [...folders]
    .filter((folder) => folder.startsWith('services/'))
    .flatMap((folder) =>
      rooms.filter((room) => !existsSync(`${folder}/${room}`)).map((room) => `${folder} has no ${room}`),
    );
}

if (import.meta.main) {
  const tree = readTree();
  const markdown = readFileSync('docs/architecture.md', 'utf8');
  const lost = namedFiles(markdown).filter((file) => !existsSync(file));
  const wrong = [
    ...compare(readMap(markdown), tree),
    ...missingRooms(tree.keys()),
    ...lost.map((file) => `docs/architecture.md sends the reader to ${file}, which is not there`),
  ];
  for (const line of wrong) console.error(line);
  if (wrong.length === 0) console.log(`docs/architecture.md is true for ${tree.size} workspaces`);
  process.exitCode = wrong.length === 0 ? 0 : 1;
}
