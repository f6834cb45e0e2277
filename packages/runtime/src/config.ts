import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { overlayEnv } from './env-overlay.ts';
import type { Mistake, Tree } from './env-overlay.ts';
import { unreadableFiles } from './named-files.ts';
import { underlayProxyEnv } from './proxy-environment.ts';
import { checkTree, readTree, unknownKeys } from './settings-tree.ts';
import { settingsOf } from './setting-paths.ts';

export type Env = Readonly<Record<string, string | undefined>>;

export interface ConfigSource<S extends z.ZodObject> {
  /** The service, for messages. */
  readonly name: string;
  readonly schema: S;
  readonly env: Env;
  /** YAML file; default `KUIK_CONFIG`, none when that is unset. */
  readonly file?: string;
}

/**
 * Configuration from an optional YAML file and, over it, the environment (`cache.url` <-> `KUIK_CACHE_URL`).
 * Returns the parsed, deeply frozen values. Throws ConfigError with every mistake, files that settings name and that cannot be read among
 * them; nothing is connected to.
 */
export function loadConfig<S extends z.ZodObject>({
  schema,
  env,
  file = env['KUIK_CONFIG'],
}: ConfigSource<S>): Readonly<z.output<S>> {
  const where = file ?? 'the environment';
  const tree: Tree = {};
  const mistakes: Mistake[] = [];
  if (file !== undefined && file !== '') mistakes.push(...readFile(file, tree));
  mistakes.push(...unknownKeys(schema, tree, []));
  const settings = settingsOf(schema);
  mistakes.push(...overlayEnv(tree, settings, env));
  underlayProxyEnv(tree, settings, env);
  mistakes.push(...unreadableFiles(tree));
  return checkTree(schema, tree, where, mistakes);
}

function readFile(file: string, tree: Tree): Mistake[] {
  try {
    return readTree(readFileSync(file, 'utf8'), tree);
  } catch (error) {
    return [
      { path: '(whole file)', reason: `cannot read it: ${(error as NodeJS.ErrnoException).code ?? 'unreadable'}` },
    ];
  }
}
