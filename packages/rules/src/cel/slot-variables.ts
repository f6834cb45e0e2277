import type { ImageKind } from '../image-slots.ts';
import { KEY_PREFIXES } from '../image-slots.ts';
import { column, type Variable } from './cel-text.ts';

/**
 * Every place of the pod that names an image, as `imageSlots` finds them: on UPDATE of `pods/ephemeralcontainers` the ephemeral
 * containers that the old object lacks, else all kinds in the order of ALL_KINDS.
 */
export function slotVariables(): Variable[] {
  const all = [slots('containers'), slots('initContainers'), slots('ephemeralContainers'), volumeSlots()];
  return [
    { name: 'debug', expression: 'request.?subResource.orValue("") == "ephemeralcontainers"' },
    {
      name: 'had',
      expression: 'variables.debug ? oldObject.spec.?ephemeralContainers.orValue([]).map(c, string(c.name)) : []',
    },
    { name: 'slots', expression: `variables.debug ? ${slots('ephemeralContainers')} : ${all.join(' + ')}` },
    { name: 'at', expression: 'lists.range(size(variables.slots))' },
    column('text', 'variables.slots[i].image'),
    column('pulled', 'variables.slots[i].pulled'),
  ];
}

function slots(kind: Exclude<ImageKind, 'volumes'>): string {
  const fresh = kind === 'ephemeralContainers' ? ' && !(string(c.name) in variables.had)' : '';
  return slotList(kind, `c.?image.orValue("") != ""${fresh}`, {
    path: '/image',
    image: 'c.image',
    pulled: 'c.?imagePullPolicy.orValue("")',
  });
}

function volumeSlots(): string {
  return slotList('volumes', 'c.?image.?reference.orValue("") != ""', {
    path: '/image/reference',
    image: 'c.image.reference',
    pulled: 'c.image.?pullPolicy.orValue("")',
  });
}

function slotList(kind: ImageKind, filter: string, at: { path: string; image: string; pulled: string }): string {
  const fields = [
    `"key": "${KEY_PREFIXES[kind]}" + c.name`,
    `"path": "/spec/${kind}/" + string(i) + "${at.path}"`,
    `"image": string(${at.image})`,
    `"pulled": string(${at.pulled})`,
  ];
  return `object.spec.?${kind}.orValue([]).transformList(i, c, ${filter}, {${fields.join(', ')}})`;
}
