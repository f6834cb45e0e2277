import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';

const CHECKOUT = path.resolve(import.meta.dirname, '..');

/** One import that somebody might write: from which file, of which file, and the rule that must catch it. */
const IMPORTS: readonly [from: string, to: string, rule: string | undefined][] = [
  ['packages/image/src/a.ts', 'packages/registry/src/index.ts', 'noun-to-noun'],
  ['packages/image/src/b.ts', 'packages/runtime/src/index.ts', 'noun-to-noun'],
  ['packages/contracts/src/a.ts', 'packages/image/src/index.ts', undefined],
  ['packages/registry/src/a.ts', 'packages/kube/src/index.ts', 'adapter-to-noun-registry'],
  ['packages/registry/src/b.ts', 'packages/image/src/index.ts', undefined],
  ['packages/registry/src/c.ts', 'packages/testbed/src/index.ts', 'adapter-to-noun-registry'],
  ['packages/registry/src/d.int.test.ts', 'packages/testbed/src/index.ts', undefined],
  ['packages/registry/src/e.int.test.ts', 'packages/kube/src/index.ts', 'adapter-to-noun-registry-in-tests'],
  ['packages/runtime/src/a.ts', 'packages/image/src/index.ts', 'kit-to-nothing-runtime'],
  ['packages/testbed/src/a.ts', 'packages/kube/src/index.ts', 'testbed-to-nouns'],
  ['packages/testbed/src/b.ts', 'packages/runtime/src/index.ts', undefined],
  ['packages/kube/src/a.ts', 'services/gc/src/app.ts', 'package-to-service'],
  ['services/gc/src/a.ts', 'services/webhook/src/app.ts', 'service-to-package'],
  ['services/gc/src/b.ts', 'packages/bus/src/index.ts', undefined],
  ['services/gc/src/c.ts', 'packages/testbed/src/index.ts', 'service-to-package'],
  ['services/gc/src/d.test.ts', 'packages/testbed/src/index.ts', undefined],
  ['services/gc/src/e.ts', 'packages/bus/src/connection.ts', 'front-door'],
  ['services/gc/src/f.ts', 'services/gc/src/d.test.ts', 'no-test-in-source'],
  ['e2e/src/a.ts', 'services/gc/src/app.ts', 'bed-to-service'],
  ['e2e/src/b.ts', 'packages/kube/src/index.ts', undefined],
  ['services/gc/src/g.ts', 'services/gc/src/nothing.ts', 'resolvable'],
];

interface Violation {
  from: string;
  rule: { name: string };
}

let tree: string;
let violations: Violation[];

beforeAll(async () => {
  tree = mkdtempSync(path.join(tmpdir(), 'dependency-rule-'));
  const write = (file: string, text: string): void => {
    mkdirSync(path.dirname(path.join(tree, file)), { recursive: true });
    writeFileSync(path.join(tree, file), text);
  };
  for (const [, to] of IMPORTS) if (!to.endsWith('nothing.ts')) write(to, 'export const here = 1;\n');
  for (const [from, to] of IMPORTS) write(from, `import '${path.relative(path.dirname(from), to)}';\n`);
  write(
    'tsconfig.json',
    '{ "compilerOptions": { "module": "nodenext", "allowImportingTsExtensions": true, "noEmit": true } }',
  );
  const cruiser = path.join(CHECKOUT, 'node_modules/dependency-cruiser/bin/dependency-cruiser.mjs');
  const config = path.join(CHECKOUT, '.dependency-cruiser.cjs');
  const args = [cruiser, '--config', config, '--output-type', 'json', 'packages', 'services', 'e2e'];
  const output = await new Promise<string>((resolve) => {
    execFile(process.execPath, args, { cwd: tree, maxBuffer: 64 << 20 }, (_error, stdout) => {
      resolve(stdout);
    });
  });
  violations = (JSON.parse(output) as { summary: { violations: Violation[] } }).summary.violations;
}, 60_000);
afterAll(() => {
  rmSync(tree, { recursive: true, force: true });
});

describe('the dependency rule', () => {
  it.each(IMPORTS)('%s importing %s: %s', (from, _to, rule) => {
    const caught = violations.filter((violation) => violation.from === from).map((violation) => violation.rule.name);
    if (rule) expect(caught).toContain(rule);
    else expect(caught).toEqual([]);
  });
});
