/**
 * Which cases `--only` chooses: those whose title holds one of its texts (separated by commas) as whole words. `c=1` is not `c=16`; nothing
 * chooses all.
 */
export function chosenCases(only: string): (title: string) => boolean {
  const texts = only
    .split(',')
    .map((text) => text.trim())
    .filter((text) => text !== '');
  return (title) => texts.length === 0 || texts.some((text) => ` ${title} `.includes(` ${text} `));
}
