import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const SERVICES_FOLDER = path.resolve(import.meta.dirname, '../../../services');

type Env = Readonly<Record<string, string>>;
type Load = (env: Env) => unknown;
/** What a service's config.ts gives: a function that loads, or the schema alone. */
type Door = Readonly<Record<string, unknown>>;
interface Runtime {
  readonly loadConfig: (source: { name: string; schema: unknown; env: Env }) => unknown;
  readonly ConfigError: new (...args: never[]) => Error & { render(): string };
}

/**
 * What a service makes of a configuration file (YAML) and of environment variables: its settings, defaults included, or the text of its
 * mistakes. The files that the configuration file names need not exist. Asks the service's own config.ts, below `servicesFolder`; this
 * process's environment plays no part.
 */
export async function loadedBy(
  service: string,
  file: string | undefined,
  env: Env = {},
  servicesFolder = SERVICES_FOLDER,
): Promise<Record<string, unknown> | string> {
  const load = (module: string): Promise<unknown> => import(path.join(servicesFolder, module));
  const door = (await load(`${service}/src/config.ts`)) as Door;
  const { loadConfig, ConfigError } = (await load('../packages/runtime/src/index.ts')) as Runtime;
  const loader = Object.entries(door).find(([name]) => /^load.*Config$/.test(name))?.[1] as Load | undefined;
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-settings-'));
  try {
    const written = path.join(folder, 'config.yaml');
    // The files that it names are another machine's; here each of them is this one.
    const named = path.join(folder, 'named');
    writeFileSync(named, '');
    if (file !== undefined) writeFileSync(written, file.replaceAll(/(File"?: )[^\s,}]+/g, `$1${named}`));
    const given = { ...(file === undefined ? {} : { KUIK_CONFIG: written }), ...env };
    const settings = loader?.(given) ?? loadConfig({ name: service, schema: door['configSchema'], env: given });
    return JSON.parse(JSON.stringify(settings)) as Record<string, unknown>;
  } catch (error) {
    if (error instanceof ConfigError) return error.render().trim();
    throw error;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
