const BEGIN = '<services>';
const END = '</services>';

/**
 * The text with what lies between its marked lines replaced. The lines themselves (comments that hold `<services>` and `</services>`) stay.
 * Throws when they are not there.
 */
export function withBlock(text: string, block: string): string {
  const lines = text.split('\n');
  const begin = lines.findIndex((line) => line.includes(BEGIN));
  const end = lines.findIndex((line) => line.includes(END));
  if (begin < 0 || end < begin) throw new Error(`no lines that hold ${BEGIN} and, further down, ${END}`);
  return [...lines.slice(0, begin + 1), ...block.split('\n'), ...lines.slice(end)].join('\n');
}
