import { KubeError } from '../kube-error.ts';
import type { KubeObject } from '../port.ts';
import { isJson } from '../json.ts';

export interface Selection {
  namespace?: string | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
}

/** Whether an object belongs to a list or watch. Throws KubeError 'invalid' for a selector it cannot read. */
export function selects({ namespace, labelSelector, fieldSelector }: Selection, object: KubeObject): boolean {
  const { metadata } = object;
  if (namespace !== undefined && metadata.namespace !== namespace) return false;
  const labels = metadata.labels ?? {};
  return (
    terms(labelSelector).every((term) => labelMatches(term, labels)) &&
    terms(fieldSelector).every((term) => fieldMatches(term, object))
  );
}

function terms(selector: string | undefined): string[] {
  return (selector ?? '')
    .split(/,(?![^()]*\))/)
    .map((term) => term.trim())
    .filter((term) => term !== '');
}

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors */
function labelMatches(term: string, labels: Record<string, string>): boolean {
  const set = /^(\S+)\s+(in|notin)\s+\(([^)]*)\)$/.exec(term);
  if (set !== null) {
    const [, key = '', operator, list = ''] = set;
    const value = labels[key];
    const isIn = value !== undefined && list.split(',').some((each) => each.trim() === value);
    return operator === 'in' ? isIn : !isIn;
  }
  const equality = /^([^=!\s]+)\s*(==?|!=)\s*(\S*)$/.exec(term);
  if (equality !== null) {
    const [, key = '', operator, value = ''] = equality;
    return operator === '!=' ? labels[key] !== value : labels[key] === value;
  }
  if (/^![^\s=]+$/.test(term)) return !(term.slice(1) in labels);
  if (/^[^\s=!()]+$/.test(term)) return term in labels;
  throw new KubeError('invalid', `cannot read label selector term "${term}"`);
}

function fieldMatches(term: string, object: KubeObject): boolean {
  const equality = /^([^=!\s]+)(==?|!=)(\S*)$/.exec(term);
  if (equality === null) throw new KubeError('invalid', `cannot read field selector term "${term}"`);
  const [, path = '', operator, value = ''] = equality;
  let at: unknown = object;
  for (const field of path.split('.')) at = isJson(at) ? at[field] : undefined;
  // An absent field counts as empty.
  const actual = typeof at === 'string' || typeof at === 'number' || typeof at === 'boolean' ? String(at) : '';
  return operator === '!=' ? actual !== value : actual === value;
}
