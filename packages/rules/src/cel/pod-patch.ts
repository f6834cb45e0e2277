import {
  ADMITTED_BY_ANNOTATION,
  MANAGED_LABEL,
  ORIGINAL_IMAGES_ANNOTATION,
  REQUEST_ID_ANNOTATION,
} from '@kuik/contracts';
import { REASONS } from '../decision.ts';
import { celStrings, type Variable } from './cel-text.ts';

/** The API server refuses an object whose annotations are larger than this in sum. */
const ANNOTATIONS_MAX = 256 * 1024;

const MARK = `"${ADMITTED_BY_ANNOTATION}": "policy"`;
const MARK_BYTES = ADMITTED_BY_ANNOTATION.length + 'policy'.length;

/** What is written on the pod, and whether there is room for it: the annotation as `markPod` of the webhook writes it. */
export function markVariables(): Variable[] {
  const isReason = (...reasons: string[]): string => `variables.reason[i] in ${celStrings(reasons)}`;
  const entry = '"\\"" + variables.slots[i].key + "\\":\\"" + variables.text[i] + "\\""';
  // The entry as JSON text; a key holds no quote, and within a text of JSON every quote is escaped.
  const known = 'variables.before.find("\\"" + variables.slots[i].key + "\\":\\"(?:[^\\"\\\\\\\\]|\\\\\\\\.)*\\"")';
  const ours = celStrings([ORIGINAL_IMAGES_ANNOTATION, REQUEST_ID_ANNOTATION, ADMITTED_BY_ANNOTATION]);
  return [
    {
      name: 'rewritten',
      expression: `variables.observed ? [] : variables.at.filter(i, ${isReason(REASONS.rewritten)})`,
    },
    { name: 'already', expression: `variables.at.filter(i, ${isReason(REASONS.alreadyRewritten)})` },
    { name: 'before', expression: `object.metadata.?annotations[?"${ORIGINAL_IMAGES_ANNOTATION}"].orValue("")` },
    {
      name: 'originals',
      expression: `"{" + variables.at.filter(i, ${isReason(REASONS.rewritten, REASONS.alreadyRewritten)}).map(i, i in variables.already ? ${known} : ${entry}).filter(e, e != "").join(",") + "}"`,
    },
    {
      name: 'renewed',
      expression: '!variables.debug && variables.originals != "{}" && variables.originals != variables.before',
    },
    {
      name: 'others',
      expression: `object.metadata.?annotations.orValue({}).transformList(k, v, !(k in ${ours}), size(bytes(k)) + size(bytes(v))).sum() + ${MARK_BYTES}`,
    },
    {
      name: 'annotations',
      expression: `variables.renewed && variables.others + size(bytes(variables.originals)) + ${ORIGINAL_IMAGES_ANNOTATION.length} <= ${ANNOTATIONS_MAX} ? {"${ORIGINAL_IMAGES_ANNOTATION}": variables.originals, ${MARK}} : variables.others + size(bytes(variables.before)) + ${ORIGINAL_IMAGES_ANNOTATION.length} <= ${ANNOTATIONS_MAX} ? {${MARK}} : {}`,
    },
    {
      name: 'labels',
      expression: `variables.debug || size(variables.rewritten) + size(variables.already) == 0 || object.metadata.?labels[?"${MANAGED_LABEL}"].orValue("") == "true" ? {} : {"${MANAGED_LABEL}": "true"}`,
    },
  ];
}

/** The patch: each image that is rewritten, then labels and annotations. */
export function podPatch(): string {
  const images =
    'variables.rewritten.map(i, JSONPatch{op: "replace", path: variables.slots[i].path, value: variables.through[i]})';
  return [images, added('labels'), added('annotations')].join(' + ');
}

/** A map that the pod does not have is added as a whole. */
function added(map: 'labels' | 'annotations'): string {
  const each = `variables.${map}.map(k, JSONPatch{op: "add", path: "/metadata/${map}/" + jsonpatch.escapeKey(k), value: variables.${map}[k]})`;
  const whole = `[JSONPatch{op: "add", path: "/metadata/${map}", value: variables.${map}}]`;
  return `(has(object.metadata.${map}) || size(variables.${map}) == 0 ? ${each} : ${whole})`;
}
