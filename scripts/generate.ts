// Writes what follows from packages/contracts and from services/*/service.yaml: CRDs, tables in docs/, what contracts, chart and docker
// compose know of services. `--check` writes nothing and fails when something differs.
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { composeDocuments, composeEntries, COMPOSE_SETTINGS } from '../e2e/src/stack/compose-documents.ts';
import { readDeclarations } from '../e2e/src/stack/declarations.ts';
import {
  failureTables,
  generatedDocuments,
  unansweredRoles,
  type GeneratedDocument,
} from '../packages/contracts/src/index.ts';
import { withBlock } from './generated-block.ts';
import { architectureMap, declaredServices, serviceDocuments, type ServiceManifest } from './service-documents.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(CHECKOUT, file), 'utf8');

function documents(): GeneratedDocument[] {
  const declarations = readDeclarations();
  const services = declaredServices(declarations);
  const wrong = unansweredRoles(services);
  if (wrong.length > 0) throw new Error(wrong.join('\n'));
  return [
    ...generatedDocuments(services),
    ...serviceDocuments(declarations),
    ...composeDocuments(declarations),
    { path: 'docker-compose.yaml', text: withBlock(read('docker-compose.yaml'), composeEntries(declarations)) },
    { path: 'docs/failures.md', text: withBlock(read('docs/failures.md'), failureTables(), 'failures') },
    { path: 'docs/architecture.md', text: withBlock(read('docs/architecture.md'), architectureMap(readManifests())) },
  ];
}

function readManifests(): Map<string, ServiceManifest> {
  const files = globSync('services/*/package.json', { cwd: CHECKOUT }).sort();
  return new Map(files.map((file) => [path.basename(path.dirname(file)), JSON.parse(read(file)) as ServiceManifest]));
}

function differs({ path: file, text }: GeneratedDocument): boolean {
  try {
    return read(file) !== text;
  } catch {
    return true;
  }
}

const check = process.argv.includes('--check');
let all: GeneratedDocument[];
try {
  all = documents();
} catch (error) {
  // A person's mistakes in a declaration, one line each.
  console.error((error as Error).message);
  process.exit(1);
}
const stale = all.filter(differs);
// Of services that are gone.
const left = globSync(`${COMPOSE_SETTINGS}/*`, { cwd: CHECKOUT }).filter(
  (file) => !all.some(({ path }) => path === file),
);
if (!check) {
  for (const { path: file, text } of stale) {
    mkdirSync(path.join(CHECKOUT, path.dirname(file)), { recursive: true });
    writeFileSync(path.join(CHECKOUT, file), text);
  }
  for (const file of left) rmSync(path.join(CHECKOUT, file));
}
for (const { path: file } of stale)
  console.log(check ? `stale: ${file} (run: node scripts/generate.ts)` : `wrote ${file}`);
for (const file of left) console.log(check ? `left over: ${file} (run: node scripts/generate.ts)` : `removed ${file}`);
if (check && stale.length + left.length > 0) process.exitCode = 1;
