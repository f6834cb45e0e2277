// Writes what is generated from packages/contracts: the chart's CRDs and tables in docs/. `--check` fails when they differ.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { generatedDocuments } from '../packages/contracts/src/index.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '..');
const check = process.argv.includes('--check');
const stale = generatedDocuments().filter(({ path: name, text }) => {
  try {
    return readFileSync(path.join(CHECKOUT, name), 'utf8') !== text;
  } catch {
    return true;
  }
});
for (const { path: name, text } of check ? [] : stale) {
  mkdirSync(path.join(CHECKOUT, path.dirname(name)), { recursive: true });
  writeFileSync(path.join(CHECKOUT, name), text);
}
for (const { path: name } of stale)
  console.log(check ? `stale: ${name} (run: node scripts/generate.ts)` : `wrote ${name}`);
if (check && stale.length > 0) process.exitCode = 1;
