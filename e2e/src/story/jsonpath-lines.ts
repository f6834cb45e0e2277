/**
 * What `kubectl get -o jsonpath=...` prints of a list, for expressions of one shape: a range over items that have a field, of fields and quoted
 * text. Throws for any other.
 */
export function jsonpathLines(expression: string, items: readonly unknown[]): string[] {
  const range = /^\{range \.items\[\?\(@(?<field>[.\w]+)\)\]\}(?<each>.+)\{end\}$/.exec(expression);
  if (range?.groups === undefined) throw new TypeError(`not such an expression: ${expression}`);
  const { field, each } = range.groups as Record<'field' | 'each', string>;
  const parts = each.match(/\{[^}]+\}/g) ?? [];
  if (parts.join('') !== each) throw new TypeError(`text outside of braces: ${each}`);
  const print = (item: unknown): string =>
    parts
      .map((part) => part.slice(1, -1))
      .map((part) => (part.startsWith('"') ? (JSON.parse(part) as string) : textAt(item, part)))
      .join('');
  const selected = items.filter((item) => textAt(item, field) !== '');
  return selected.map(print).join('').split('\n').slice(0, -1);
}

/** What is at `.a.b.c`; nothing when there is nothing, as kubectl prints it. */
function textAt(item: unknown, path: string): string {
  const names = path.slice(1).split('.');
  const found = names.reduce<unknown>((at, name) => (at as Record<string, unknown> | undefined)?.[name], item);
  if (found === undefined) return '';
  return typeof found === 'string' ? found : JSON.stringify(found);
}
