import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';

const CHECKOUT = path.resolve(import.meta.dirname, '..');
const document = readFileSync(path.join(CHECKOUT, 'docs/hardening.md'), 'utf8');

/** Threat, file and test of each line of the document's tables. */
const lines = document
  .split('\n')
  .filter((line) => line.startsWith('| ') && !/^\| (threat|---)/.test(line))
  .map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  );

describe('docs/hardening.md', () => {
  it('has its checklist', () => expect(lines.length).toBeGreaterThan(30));

  it.each(lines)('%s: has its test', (_threat, _answer, file, name) => {
    const source = path.join(CHECKOUT, file.replaceAll('`', ''));
    expect(existsSync(source)).toBe(true);
    expect(source).toMatch(/\.test\.ts$/);
    expect(readFileSync(source, 'utf8')).toContain(name.replace(/^`|`$/g, ''));
  });
});
