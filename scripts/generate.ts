// Writes what is generated from packages/contracts: the chart's CRDs and the README tables. `--check` fails when they differ.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { CRDS, crdYaml } from '../packages/contracts/src/index.ts';

const check = process.argv.includes('--check');
const files = CRDS.map((crd) => ({
  path: `charts/kube-image-keeper/crds/${crd.spec.names.plural}.yaml`,
  text: crdYaml(crd),
}));
const stale = files.filter(({ path, text }) => {
  try {
    return readFileSync(path, 'utf8') !== text;
  } catch {
    return true;
  }
});
for (const { path, text } of check ? [] : stale) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}
for (const { path } of stale) console.log(check ? `stale: ${path} (run: node scripts/generate.ts)` : `wrote ${path}`);
if (check && stale.length > 0) process.exitCode = 1;
