/**
 * The text with what lies between its marked lines replaced. The lines themselves (comments that hold `<services>` and `</services>`, or another
 * name) stay. Throws when they are not there.
 */
export function withBlock(text: string, block: string, name = 'services'): string {
  const lines = text.split('\n');
  const begin = lines.findIndex((line) => line.includes(`<${name}>`));
  const end = lines.findIndex((line) => line.includes(`</${name}>`));
  if (begin < 0 || end < begin) throw new Error(`no lines that hold <${name}> and, further down, </${name}>`);
  return [...lines.slice(0, begin + 1), ...block.split('\n'), ...lines.slice(end)].join('\n');
}
