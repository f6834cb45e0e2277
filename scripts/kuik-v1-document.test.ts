import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { METRICS_V1 } from '../packages/contracts/src/index.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '..');
const read = (file: string) => readFileSync(path.join(CHECKOUT, file), 'utf8');
const document = read('docs/kuik-v1.md');

/** The cells of a table's rows below a heading, its head left out. */
function rows(heading: string): string[][] {
  const section = document.split(/^## /m).find((part) => part.startsWith(heading)) ?? '';
  const lines = section.split('\n').filter((line) => line.startsWith('|'));
  return lines.slice(2).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

describe('docs/kuik-v1.md', () => {
  it.each(rows('Defects of v1'))('%s: has its test', (_defect, file, name) => {
    const source = path.join(CHECKOUT, file.replaceAll('`', ''));
    expect(existsSync(source)).toBe(true);
    expect(readFileSync(source, 'utf8')).toContain(name);
  });

  it('names every metric of v1 and no other', () => {
    const named = rows('Metrics').map(([name]) => name!.replaceAll('`', ''));
    expect(named.sort()).toEqual(
      Object.values(METRICS_V1)
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('has words for every value that the chart refuses', () => {
    const values = read('charts/kube-image-keeper/files/kuik-v1-values.yaml');
    const refused = [...values.matchAll(/^([\w.-]+): /gm)].map(([, value]) => value!);
    expect(refused.length).toBeGreaterThan(40);
    const told = rows('Values')
      .map(([value]) => value)
      .join(' ');
    // Whole sections are told value by value; a value whose section was named before stands there alone.
    const missing = refused.filter(
      (value) => !told.includes(value) && !told.includes(`\`${value.split('.').at(-1)}\``),
    );
    expect(missing.filter((value) => !['controllers', 'proxy'].includes(value))).toEqual([]);
  });
});
