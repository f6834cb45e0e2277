import { parse } from 'yaml';
import { nearest } from './nearest.ts';
import { renderPath } from './setting-paths.ts';
import type { Setting } from './setting-paths.ts';

export interface Mistake {
  /** `rules[2].match` */
  readonly path: string;
  readonly reason: string;
}

export type Tree = Record<string, unknown>;

/**
 * Lays the environment's settings over `tree` (which is changed) and returns the mistakes.
 * Lists may be written with commas; records and lists of objects as JSON or YAML. An empty variable counts as absent.
 * A variable that nearly has a setting's name is a mistake; other KUIK_ variables are none of ours (a Service named `kuik-...`
 * makes some in every pod of its namespace).
 */
export function overlayEnv(
  tree: Tree,
  settings: readonly Setting[],
  env: Readonly<Record<string, string | undefined>>,
): Mistake[] {
  const byName = new Map(settings.map((setting) => [setting.env, setting]));
  const mistakes: Mistake[] = [];
  for (const [name, text] of Object.entries(env)) {
    if (!name.startsWith('KUIK_') || name === 'KUIK_CONFIG' || text === undefined || text === '') continue;
    if (isServiceLink(name, text)) continue;
    const setting = byName.get(name);
    if (setting === undefined) {
      const meant = nearest(name, [...byName.keys()]);
      if (meant !== undefined) mistakes.push({ path: name, reason: `unknown variable; did you mean ${meant}?` });
      continue;
    }
    const value = parseVariable(text, setting);
    if (value.ok) put(tree, setting.path, value.value);
    else mistakes.push({ path: renderPath(setting.path), reason: `${value.reason} (from ${name})` });
  }
  return mistakes;
}

/** `KUIK_CACHE_PORT=tcp://10.0.0.7:5000` and its kin, which kubelet sets for Services. */
function isServiceLink(name: string, text: string): boolean {
  return (
    /_SERVICE_(HOST|PORT)(_|$)/.test(name) ||
    (/_PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?$/.test(name) && /^(tcp|udp|sctp):\/\//.test(text))
  );
}

type Parsed = { ok: true; value: unknown } | { ok: false; reason: string };

function parseVariable(text: string, { kind }: Setting): Parsed {
  switch (kind.kind) {
    case 'number':
      return Number.isFinite(Number(text))
        ? { ok: true, value: Number(text) }
        : { ok: false, reason: 'must be a number' };
    case 'boolean':
      return /^(true|false)$/.test(text)
        ? { ok: true, value: text === 'true' }
        : { ok: false, reason: 'must be true or false' };
    case 'text':
      return { ok: true, value: text };
    case 'array':
      if (!/^\s*[[-]/.test(text))
        return {
          ok: true,
          value: text
            .split(',')
            .map((item) => item.trim())
            .filter((item) => item !== ''),
        };
      return parseYaml(text);
    case 'object':
    case 'record':
    case 'other':
      return parseYaml(text);
  }
}

function parseYaml(text: string): Parsed {
  try {
    return { ok: true, value: parse(text) as unknown };
  } catch {
    return { ok: false, reason: 'must be JSON or YAML' };
  }
}

function put(tree: Tree, path: readonly string[], value: unknown): void {
  let at = tree;
  for (const step of path.slice(0, -1)) {
    const next = (at[step] ??= {});
    // A text where a map belongs stays, so that the schema names it.
    if (typeof next !== 'object') return;
    at = next as Tree;
  }
  at[path.at(-1)!] = value;
}
