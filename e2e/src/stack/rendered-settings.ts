import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const SERVICES_FOLDER = path.resolve(import.meta.dirname, '../../../services');

/** Of this process's environment: where programs are, and compiled code, half of the work of such a process. */
const HERE = { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'] };

// A service's config.ts gives a function that loads, or the schema alone.
const LOADER = `
const [configFile, runtimeFile, name] = process.argv.slice(1);
const door = await import(configFile);
const { loadConfig } = await import(runtimeFile);
const load = Object.entries(door).find(([name]) => /^load.*Config$/.test(name))?.[1]
  ?? ((env) => loadConfig({ name, schema: door.configSchema, env }));
try { console.log(JSON.stringify(load(process.env))); }
catch (error) { if (!error.render) throw error; console.log(error.render()); }`;

/**
 * What a service makes of a configuration file (YAML) and of environment variables: its settings, defaults included, or the text of its
 * mistakes. The files that the configuration file names need not exist. Runs the service's own config.ts, below
 * `servicesFolder`, in a process of its own.
 */
export async function loadedBy(
  service: string,
  file: string | undefined,
  env: Readonly<Record<string, string>> = {},
  servicesFolder = SERVICES_FOLDER,
): Promise<Record<string, unknown> | string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-settings-'));
  try {
    const written = path.join(folder, 'config.yaml');
    // The files that it names are another machine's; here each of them is this one.
    const named = path.join(folder, 'named');
    writeFileSync(named, '');
    if (file !== undefined) writeFileSync(written, file.replaceAll(/(File"?: )[^\s,}]+/g, `$1${named}`));
    const modules = [`${service}/src/config.ts`, '../packages/runtime/src/index.ts'].map((module) =>
      path.join(servicesFolder, module),
    );
    const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', LOADER, ...modules, service], {
      env: { ...HERE, ...(file === undefined ? {} : { KUIK_CONFIG: written }), ...env },
    });
    return stdout.startsWith('{') ? (JSON.parse(stdout) as Record<string, unknown>) : stdout.trim();
  } finally {
    rmSync(folder, { recursive: true });
  }
}
