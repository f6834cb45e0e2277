import type { Resource } from '../port.ts';
import { isJson, sameJson, type Json } from '../json.ts';
import { listKeys } from './list-keys.ts';

/** A leaf of a document: field names, and for items of shared lists their key as `{"type":"Ready"}` or value as `=x`. */
export interface Leaf {
  steps: readonly Step[];
  value: unknown;
}

type Step = { field: string } | { item: Json } | { member: unknown };

export type Leaves = Map<string, Leaf>;

/** Every leaf of a document, as server-side apply tells fields apart. */
export function leavesOf(resource: Resource, document: Json): Leaves {
  const leaves: Leaves = new Map();
  collect(resource, document, [], '', leaves);
  return leaves;
}

function collect(resource: Resource, value: unknown, steps: readonly Step[], path: string, into: Leaves): void {
  const leaf = (at: readonly Step[], of: unknown): void => void into.set(JSON.stringify(at), { steps: at, value: of });
  if (isJson(value) && Object.keys(value).length > 0) {
    for (const [field, inner] of Object.entries(value)) {
      const inside = path === '' ? field : `${path}.${field}`;
      if (inner !== undefined) collect(resource, inner, [...steps, { field }], inside, into);
    }
    return;
  }
  const keys = Array.isArray(value) && value.length > 0 ? listKeys(resource, path) : undefined;
  if (!Array.isArray(value) || keys === undefined) {
    leaf(steps, value);
    return;
  }
  for (const item of value as unknown[]) {
    if (keys === 'set') leaf([...steps, { member: item }], item);
    else {
      const json = item as Json;
      const key = Object.fromEntries(keys.map((each) => [each, json[each]]));
      collect(resource, json, [...steps, { item: key }], path, into);
    }
  }
}

/** The document with one leaf set; changes `document` in place. */
export function setLeaf(document: Json, { steps, value }: Leaf): void {
  const last = steps.length - 1;
  let at: unknown = document;
  steps.forEach((step, i) => {
    const next = steps[i + 1];
    const container = next === undefined || 'field' in next ? {} : [];
    if ('field' in step) {
      const object = at as Json;
      if (i === last) {
        if (!holdsLeaf(object[step.field], value)) object[step.field] = structuredClone(value);
      } else at = object[step.field] = fitting(object[step.field], container);
      return;
    }
    const list = at as unknown[];
    if ('member' in step) {
      if (!list.some((each) => sameJson(each, step.member))) list.push(structuredClone(step.member));
      return;
    }
    let item = list.find((each) => isItem(each, step.item));
    if (item === undefined) list.push((item = { ...step.item }));
    at = item;
  });
}

/** Whether a place holds a leaf's value; a leaf that is an empty object claims only that there is one. */
export function holdsLeaf(found: unknown, value: unknown): boolean {
  return isJson(value) && isJson(found) ? true : sameJson(found, value);
}

/** The document without one leaf, nor what it leaves empty; changes `document` in place. */
export function removeLeaf(document: Json, leaf: Leaf): void {
  const found = readLeaf(document, leaf);
  const claimedOnly = isJson(leaf.value) && isJson(found) && Object.keys(found).length > 0;
  if (!claimedOnly) remove(document, leaf.steps);
}

/** Returns whether `at` is now empty. */
function remove(at: unknown, [step, ...rest]: readonly Step[]): boolean {
  if (step === undefined) return false;
  if ('field' in step) {
    if (!isJson(at)) return false;
    if (rest.length === 0 || (step.field in at && remove(at[step.field], rest))) delete at[step.field];
    return Object.keys(at).length === 0;
  }
  if (!Array.isArray(at)) return false;
  const list = at as unknown[];
  // Without its key an item is nobody's any more.
  const whole =
    rest.length === 0 || ('item' in step && rest.length === 1 && 'field' in rest[0]! && rest[0].field in step.item);
  const index = list.findIndex((each) => ('member' in step ? sameJson(each, step.member) : isItem(each, step.item)));
  if (index >= 0 && (whole || remove(list[index], rest))) list.splice(index, 1);
  return list.length === 0;
}

/** The value of a leaf in a document; undefined when absent. */
export function readLeaf(document: Json, { steps }: Leaf): unknown {
  let at: unknown = document;
  for (const step of steps) {
    if ('field' in step) at = isJson(at) ? at[step.field] : undefined;
    else if (!Array.isArray(at)) return undefined;
    else if ('member' in step) at = (at as unknown[]).find((each) => sameJson(each, step.member));
    else at = (at as unknown[]).find((each) => isItem(each, step.item));
  }
  return at;
}

function isItem(value: unknown, key: Json): boolean {
  return isJson(value) && Object.entries(key).every(([field, wanted]) => sameJson(value[field], wanted));
}

function fitting(existing: unknown, wanted: Json | unknown[]): Json | unknown[] {
  if (Array.isArray(wanted)) return Array.isArray(existing) ? (existing as unknown[]) : wanted;
  return isJson(existing) ? existing : wanted;
}
