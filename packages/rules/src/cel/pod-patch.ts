import {
  ADMITTED_BY_ANNOTATION,
  ANNOTATIONS_MAX_BYTES,
  DECISIONS_ANNOTATION,
  MANAGED_LABEL,
  ORIGINAL_IMAGES_ANNOTATION,
} from '@kuik/contracts';
import { REASONS } from '../decision.ts';
import { celStrings, type Variable } from './cel-text.ts';
import { pullSecretPatch } from './pull-secret-patch.ts';

const OURS = [ORIGINAL_IMAGES_ANNOTATION, DECISIONS_ANNOTATION, ADMITTED_BY_ANNOTATION];
const MARK = `"${ADMITTED_BY_ANNOTATION}": "policy"`;
const MARK_BYTES = ADMITTED_BY_ANNOTATION.length + 'policy'.length;

/**
 * What is written on the pod: labels and annotations as `markPod` of the webhook writes them, and who did. Nothing is written that is right
 * already; what there is no room for is left out, the decisions first.
 */
export function markVariables(): Variable[] {
  const [originals, decisions] = [entry('variables.text[i]'), entry('variables.decision[i]')];
  const wasOriginal = knownEntry('variables.originalsBefore', '(?:[^\\"\\\\\\\\]|\\\\\\\\.)*');
  const wasRewritten = knownEntry('variables.decisionsBefore', `${REASONS.rewritten} [^\\"\\\\\\\\]*`);
  const candidates: [string, string[]][] = [
    ['variables.newOriginals && variables.newDecisions && ', [ORIGINAL_IMAGES_ANNOTATION, DECISIONS_ANNOTATION]],
    ['variables.newOriginals && ', [ORIGINAL_IMAGES_ANNOTATION]],
    ['variables.newDecisions && !variables.newOriginals && ', [DECISIONS_ANNOTATION]],
    ['', []],
  ];
  return [
    {
      name: 'rewritten',
      expression: `variables.at.filter(i, variables.decision[i].startsWith("${REASONS.rewritten} "))`,
    },
    {
      name: 'already',
      expression: `variables.at.filter(i, variables.decision[i].startsWith("${REASONS.alreadyRewritten} "))`,
    },
    // Observed images among them: what they would have been is what `observed` stands for.
    {
      name: 'cached',
      expression:
        'variables.at.filter(i, i in variables.rewritten || i in variables.already || (variables.observed != "" && variables.decision[i] == variables.observed))',
    },
    { name: 'originalsBefore', expression: existing(ORIGINAL_IMAGES_ANNOTATION) },
    { name: 'decisionsBefore', expression: existing(DECISIONS_ANNOTATION) },
    {
      name: 'originals',
      expression: json(`variables.cached.map(i, i in variables.already ? ${wasOriginal} : ${originals})`),
    },
    {
      name: 'decisions',
      expression: json(
        `variables.at.map(i, i in variables.already && ${wasRewritten} != "" ? ${wasRewritten} : ${decisions})`,
      ),
    },
    { name: 'newOriginals', expression: isNew('originals') },
    { name: 'newDecisions', expression: isNew('decisions') },
    {
      name: 'others',
      expression: `object.metadata.?annotations.orValue({}).transformList(k, v, !(k in ${celStrings(OURS)}), size(bytes(k)) + size(bytes(v))).sum() + ${MARK_BYTES}`,
    },
    {
      name: 'annotations',
      expression: `${candidates.map(([wanted, written]) => `${wanted}${hasRoom(written)} ? ${map(written)} : `).join('')}{}`,
    },
    {
      name: 'labels',
      expression: `variables.debug || size(variables.rewritten) + size(variables.already) == 0 || object.metadata.?labels[?"${MANAGED_LABEL}"].orValue("") == "true" ? {} : {"${MANAGED_LABEL}": "true"}`,
    },
  ];
}

const VALUES: Readonly<Record<string, string>> = {
  [ORIGINAL_IMAGES_ANNOTATION]: 'originals',
  [DECISIONS_ANNOTATION]: 'decisions',
};

/** One entry of an annotation, as JSON: keys, images that are rewritten and decisions hold nothing that JSON would escape. */
function entry(value: string): string {
  return `"\\"" + variables.slots[i].key + "\\":\\"" + ${value} + "\\""`;
}

/** The entry that an annotation has already, as its JSON, or nothing: within a text of JSON every quote is escaped. */
function knownEntry(annotation: string, value: string): string {
  return `${annotation}.find("\\"" + variables.slots[i].key + "\\":\\"${value}\\"")`;
}

function json(entries: string): string {
  return `"{" + ${entries}.filter(e, e != "").join(",") + "}"`;
}

function existing(annotation: string): string {
  return `object.metadata.?annotations[?"${annotation}"].orValue("")`;
}

function isNew(name: string): string {
  return `!variables.debug && variables.${name} != "{}" && variables.${name} != variables.${name}Before`;
}

/** Whether these annotations fit in, beside those of others and of ours that stay. */
function hasRoom(written: readonly string[]): string {
  const sizes = Object.entries(VALUES).map(([annotation, name]) =>
    written.includes(annotation)
      ? `${annotation.length} + size(bytes(variables.${name}))`
      : `(variables.${name}Before == "" ? 0 : ${annotation.length} + size(bytes(variables.${name}Before)))`,
  );
  return `${['variables.others', ...sizes].join(' + ')} <= ${ANNOTATIONS_MAX_BYTES}`;
}

function map(written: readonly string[]): string {
  return `{${[...written.map((annotation) => `"${annotation}": variables.${VALUES[annotation]}`), MARK].join(', ')}}`;
}

/** The patch: each image that is rewritten, then labels and annotations, then the pull secret when pods get one. */
export function podPatch({ pullSecrets }: { pullSecrets: boolean }): string {
  const images =
    'variables.rewritten.map(i, JSONPatch{op: "replace", path: variables.slots[i].path, value: variables.through[i]})';
  return [images, added('labels'), added('annotations'), ...(pullSecrets ? [pullSecretPatch()] : [])].join(' + ');
}

/** A map that the pod does not have is added as a whole. */
function added(map: 'labels' | 'annotations'): string {
  const each = `variables.${map}.map(k, JSONPatch{op: "add", path: "/metadata/${map}/" + jsonpatch.escapeKey(k), value: variables.${map}[k]})`;
  const whole = `[JSONPatch{op: "add", path: "/metadata/${map}", value: variables.${map}}]`;
  return `(has(object.metadata.${map}) || size(variables.${map}) == 0 ? ${each} : ${whole})`;
}
