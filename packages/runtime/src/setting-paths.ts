import type { z } from 'zod';

/** A step of a path into the configuration. */
export type Step = string | number;

/** `rules[2].match`, `registries["quay.io"].ca`. */
export function renderPath(path: readonly PropertyKey[]): string {
  let text = '';
  for (const step of path) {
    if (typeof step === 'number') text += `[${step}]`;
    else if (/^[A-Za-z_][\w-]*$/.test(String(step))) text += text === '' ? String(step) : `.${String(step)}`;
    else text += `[${JSON.stringify(String(step))}]`;
  }
  return text === '' ? '(whole file)' : text;
}

/** `cacheTimeouts.connect` -> `KUIK_CACHE_TIMEOUTS_CONNECT`. */
export function envName(path: readonly string[]): string {
  const words = path.map((step) =>
    step.replace(/([a-z0-9])([A-Z])/g, '$1_$2').replace(/([A-Z])([A-Z][a-z])/g, '$1_$2'),
  );
  return `KUIK_${words
    .join('_')
    .replaceAll(/[^A-Za-z0-9]/g, '_')
    .toUpperCase()}`;
}

type Shape = Record<string, z.core.$ZodType>;

/** What a schema is once wrappers (optional, default, pipe...) are taken off. */
export type Kind =
  | { kind: 'object'; shape: Shape }
  | { kind: 'record'; value: z.core.$ZodType }
  | { kind: 'array'; item: z.core.$ZodType }
  | { kind: 'number' | 'boolean' | 'text' | 'other' };

/** The schema's input kind; `other` is anything whose inside is its own affair (unions, enums are text). */
export function kindOf(schema: z.core.$ZodType): Kind {
  const { def } = (schema as z.core.$ZodTypes)._zod;
  switch (def.type) {
    case 'object':
      return { kind: 'object', shape: def.shape };
    case 'record':
      return { kind: 'record', value: def.valueType };
    case 'array':
      return { kind: 'array', item: def.element };
    case 'optional':
    case 'default':
    case 'prefault':
    case 'nullable':
    case 'readonly':
    case 'catch':
    case 'nonoptional':
      return kindOf(def.innerType);
    case 'pipe':
      return kindOf(def.in);
    case 'lazy':
      return kindOf(def.getter());
    case 'number':
      return { kind: 'number' };
    case 'boolean':
      return { kind: 'boolean' };
    case 'string':
    case 'enum':
    case 'literal':
    case 'template_literal':
      return { kind: 'text' };
    case 'union':
      // Written as text, or as a number in YAML: a duration, say.
      return def.options.some((option) => kindOf(option).kind === 'text') ? { kind: 'text' } : { kind: 'other' };
    default:
      return { kind: 'other' };
  }
}

export interface Setting {
  readonly path: readonly string[];
  readonly env: string;
  readonly kind: Kind;
}

/** Every setting that one environment variable can give: all but objects, whose fields have their own. */
export function settingsOf(schema: z.core.$ZodType, path: readonly string[] = []): Setting[] {
  const kind = kindOf(schema);
  if (kind.kind !== 'object') return [{ path, env: envName(path), kind }];
  return Object.entries(kind.shape).flatMap(([key, field]) => settingsOf(field, [...path, key]));
}
