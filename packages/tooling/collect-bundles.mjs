// Gathers the bundles of all services into one folder, with the entry that starts one by name: `node run.mjs <service>`.
import { cpSync, globSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';

const out = process.argv[2];
if (out === undefined) throw new Error('usage: collect-bundles.mjs <folder>');
const bundles = globSync('services/*/dist/main.js');
if (bundles.length === 0) throw new Error('no bundles: run `turbo run build` first');
for (const bundle of bundles) {
  const name = basename(dirname(dirname(bundle)));
  mkdirSync(out, { recursive: true });
  cpSync(dirname(bundle), `${out}/${name}`, { recursive: true });
}
const names = bundles.map((bundle) => basename(dirname(dirname(bundle))));
writeFileSync(`${out}/package.json`, '{ "type": "module" }\n');
writeFileSync(
  `${out}/run.mjs`,
  `const names = ${JSON.stringify(names)};
const [name] = process.argv.slice(2);
if (!names.includes(name)) {
  console.error(\`usage: run.mjs <service>, one of: \${names.join(', ')}\`);
  process.exitCode = 2;
} else await import(\`./\${name}/main.js\`);
`,
);
