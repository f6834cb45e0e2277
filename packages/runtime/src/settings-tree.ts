import { LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { ConfigError } from './config-error.ts';
import type { Mistake, Tree } from './env-overlay.ts';
import { nearest } from './nearest.ts';
import { kindOf, renderPath } from './setting-paths.ts';
import type { Step } from './setting-paths.ts';

/**
 * Settings written as YAML; an empty text means the defaults. Returns them parsed and deeply frozen; throws ConfigError with every
 * mistake of `where`.
 */
export function parseSettings<S extends z.ZodObject>(schema: S, text: string, where: string): Readonly<z.output<S>> {
  const tree: Tree = {};
  const mistakes = readTree(text, tree);
  mistakes.push(...unknownKeys(schema, tree, []));
  return checkTree(schema, tree, where, mistakes);
}

/** What the schema makes of a tree of settings. Throws ConfigError with the mistakes that were found before, and all of the schema's. */
export function checkTree<S extends z.ZodObject>(
  schema: S,
  tree: Tree,
  where: string,
  mistakes: Mistake[],
): Readonly<z.output<S>> {
  completeObjects(schema, tree);
  const parsed = schema.safeParse(tree);
  if (!parsed.success) {
    const seen = new Set(mistakes.map((mistake) => mistake.path));
    for (const issue of parsed.error.issues) {
      const mistake = { path: renderPath(issue.path), reason: reasonOf(issue, tree) };
      if (issue.code !== 'unrecognized_keys' && !seen.has(mistake.path)) mistakes.push(mistake);
    }
  }
  if (mistakes.length > 0 || !parsed.success) throw new ConfigError(where, mistakes);
  return deepFreeze(parsed.data);
}

/** Reads YAML into `tree` (which is changed); returns what is wrong with it. */
export function readTree(text: string, tree: Tree): Mistake[] {
  const document = parseDocument(text, { lineCounter: new LineCounter(), prettyErrors: true });
  if (document.errors.length > 0) {
    return document.errors.map((error) => ({
      path: '(YAML)',
      reason: error.message.split('\n')[0]!.replace(/:$/, ''),
    }));
  }
  const value = document.toJS() as unknown;
  if (value === null || value === undefined) return [];
  if (typeof value !== 'object' || Array.isArray(value))
    return [{ path: '(whole file)', reason: 'must be a map of settings' }];
  Object.assign(tree, value);
  return [];
}

/** Keys the schema does not know, at any depth, with the one that was probably meant. */
export function unknownKeys(schema: z.core.$ZodType, value: unknown, path: readonly Step[]): Mistake[] {
  if (typeof value !== 'object' || value === null) return [];
  const kind = kindOf(schema);
  switch (kind.kind) {
    case 'object':
      return Object.entries(value).flatMap(([key, inner]) => {
        const field = Object.hasOwn(kind.shape, key) ? kind.shape[key] : undefined;
        if (field !== undefined) return unknownKeys(field, inner, [...path, key]);
        const meant = nearest(key, Object.keys(kind.shape));
        const hint =
          meant === undefined ? `; known are ${Object.keys(kind.shape).join(', ')}` : `; did you mean "${meant}"?`;
        return [{ path: path.length === 0 ? key : renderPath(path), reason: `unknown key "${key}"${hint}` }];
      });
    case 'record':
      return Object.entries(value).flatMap(([key, inner]) => unknownKeys(kind.value, inner, [...path, key]));
    case 'array':
      return Array.isArray(value)
        ? value.flatMap((inner, index) => unknownKeys(kind.item, inner, [...path, index]))
        : [];
    default:
      return [];
  }
}

/** Makes absent groups of settings empty ones, so that their defaults apply and their missing fields are named one by one. */
function completeObjects(schema: z.core.$ZodType, tree: Tree): void {
  const kind = kindOf(schema);
  if (kind.kind !== 'object') return;
  for (const [key, field] of Object.entries(kind.shape)) {
    if (field._zod.def.type === 'object' && (tree[key] === undefined || tree[key] === null)) tree[key] = {};
    const inner = tree[key];
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) completeObjects(field, inner as Tree);
  }
}

function reasonOf(issue: z.core.$ZodIssue, tree: Tree): string {
  if (
    valueAt(tree, issue.path) === undefined &&
    (issue.code === 'invalid_type' || issue.code === 'invalid_union' || issue.code === 'invalid_value')
  )
    return 'missing';
  if (issue.code === 'invalid_value') return `must be ${issue.values.map((value) => String(value)).join(' or ')}`;
  if (issue.code === 'invalid_type') return `must be ${article(issue.expected)}`;
  // The key of a map: what is wrong is said of the key itself.
  if (issue.code === 'invalid_key') return issue.issues[0]?.message ?? issue.message;
  return issue.message;
}

function valueAt(tree: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (at, step) => (typeof at === 'object' && at !== null ? (at as Record<PropertyKey, unknown>)[step] : undefined),
    tree,
  );
}

function article(expected: string): string {
  const word = { object: 'map', record: 'map', array: 'list' }[expected] ?? expected;
  return `${/^[aeiou]/.test(word) ? 'an' : 'a'} ${word}`;
}

function deepFreeze<T>(value: T): T {
  if (Array.isArray(value)) value.forEach((item) => deepFreeze(item as unknown));
  else if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype)
    return value;
  else Object.values(value).forEach((item) => deepFreeze(item as unknown));
  return Object.freeze(value);
}
