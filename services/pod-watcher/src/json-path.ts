/** One step into a JSON value: a field, an element, or every one of both. */
type Step = { readonly field: string } | { readonly index: number } | 'every';

/** A parsed path; `text` is what was written. */
export interface JsonPath {
  readonly text: string;
  readonly steps: readonly Step[];
}

const STEP = /\.(?<field>[A-Za-z0-9_-]+)|\.(?<every>\*)|\[(?<each>\*)\]|\[(?<index>\d+)\]|\['(?<quoted>[^']+)'\]/y;

/**
 * Reads the part of JSONPath that leads to known places: `.spec.template`, `.spec.sets[*].template`, `.spec.roles.*.image`,
 * `.spec['a.b/c']`, `.spec.steps[0]`; `.` is the object itself. Undefined when it is something else: filters, ranges and descents (`..`)
 * are not read. A leading `$` and surrounding braces, as kubectl writes them, mean nothing.
 */
export function parseJsonPath(text: string): JsonPath | undefined {
  let rest = text.trim().replace(/^\{(.*)\}$/, '$1');
  rest = rest.replace(/^\$/, '');
  if (rest === '.' || (rest === '' && text !== '')) return { text, steps: [] };
  const steps: Step[] = [];
  STEP.lastIndex = 0;
  while (STEP.lastIndex < rest.length) {
    const found = STEP.exec(rest)?.groups;
    if (found === undefined) return undefined;
    const field = found['field'] ?? found['quoted'];
    if (field !== undefined) steps.push({ field });
    else if (found['index'] !== undefined) steps.push({ index: Number(found['index']) });
    else steps.push('every');
  }
  return steps.length === 0 ? undefined : { text, steps };
}

/** Every value at the path's places; what is missing is left out. Fields of prototypes do not count. */
export function valuesAt(value: unknown, { steps }: JsonPath): unknown[] {
  return steps.reduce<unknown[]>((values, step) => values.flatMap((each) => into(each, step)), [value]);
}

function into(value: unknown, step: Step): unknown[] {
  if (typeof value !== 'object' || value === null) return [];
  const found = step === 'every' ? Object.values(value) : [own(value, 'field' in step ? step.field : step.index)];
  return found.filter((each) => each !== undefined && each !== null);
}

function own(value: object, key: string | number): unknown {
  return Object.hasOwn(value, key) ? (value as Record<string | number, unknown>)[key] : undefined;
}
