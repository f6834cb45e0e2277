import { z } from 'zod';

type Json = Record<string, unknown>;

/** Extra facts of a field that zod cannot say; keyed by dotted path, `[]` for items. */
export type SchemaExtras = Readonly<Record<string, Json>>;

/**
 * A zod object as a structural schema that the API server takes: no `additionalProperties` beside properties, integers as
 * int64, dates as `format: date-time` without zod's pattern. Lists are atomic unless `extras` gives them keys.
 * (Kubernetes docs, "Specifying a structural schema".)
 */
export function structuralSchema(schema: z.ZodType, extras: SchemaExtras = {}): Json {
  const raw = z.toJSONSchema(schema, { target: 'openapi-3.0', io: 'input' }) as Json;
  const known = new Set(Object.keys(extras));
  const result = fix(raw, '', extras, known);
  if (known.size > 0) throw new Error(`no such schema path: ${[...known].join(', ')}`);
  return result;
}

function fix(node: Json, path: string, extras: SchemaExtras, unused: Set<string>): Json {
  const fixed: Json = { ...node };
  delete fixed['$schema'];
  if (fixed['properties'] !== undefined) {
    delete fixed['additionalProperties'];
    fixed['properties'] = Object.fromEntries(
      Object.entries(fixed['properties'] as Record<string, Json>).map(([key, value]) => [
        key,
        fix(value, path === '' ? key : `${path}.${key}`, extras, unused),
      ]),
    );
  }
  if (fixed['type'] === 'array') {
    fixed['items'] = fix(fixed['items'] as Json, `${path}[]`, extras, unused);
    fixed['x-kubernetes-list-type'] = 'atomic';
  }
  if (fixed['type'] === 'integer') {
    delete fixed['maximum'];
    fixed['format'] = 'int64';
  }
  if (fixed['format'] === 'date-time') delete fixed['pattern'];
  const extra = extras[path];
  if (extra !== undefined) {
    unused.delete(path);
    Object.assign(fixed, extra);
  }
  return fixed;
}
