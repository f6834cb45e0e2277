import { existsSync, globSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ERROR_CODES, METRICS, METRICS_V1 } from '../packages/contracts/src/index.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '..');
const read = (file: string): string => readFileSync(path.join(CHECKOUT, file), 'utf8');

/** Names of others: what kuik v2 says of an image, what Kubernetes calls its plugins. */
const OF_OTHERS = ['NotFound', 'InvalidAuth', 'UnavailableSecret', 'QuotaExceeded', 'AlwaysPullImages'];
/** Of every process, beside the metrics that are declared; and buckets of NATS, which are called like metrics. */
const BESIDE_METRICS = ['kuik_build_info', 'kuik_image_state', 'kuik_host_state', 'kuik_access'];

const codes = new Set<string>(Object.values(ERROR_CODES).map(({ code }) => code));
const metrics = [...Object.values(METRICS), ...Object.values(METRICS_V1)].map(({ name }) => name);
/** A histogram is several. */
const isMetric = (name: string): boolean =>
  BESIDE_METRICS.includes(name) || metrics.some((metric) => name.replace(/_(count|sum|bucket)$/, '') === metric);
const defaults = new Map(
  [...read('docs/defaults.md').matchAll(/^\| `([^`]+)` \| (.+) \|$/gm)].map(([, name, value]) => [name!, value!]),
);
const sources = globSync(['packages/*/src/**/*.ts', 'services/*/src/**/*.ts'], { cwd: CHECKOUT })
  .filter((file) => !file.endsWith('.test.ts'))
  .map(read)
  .join('\n');

/** `10 minutes`, `10 min`, `30 days` as the page of defaults writes them. */
const asDefault = (text: string): string =>
  text.replace(/^([\d.]+) ?(ms|s|min|minutes?|h|hours?|d|days?)$/, (_all, number: string, unit: string) =>
    unit === 'ms' ? `${number}ms` : `${number}${unit[0]}`,
  );

/** What a row says that is not so, one line each. */
function wrongIn(row: string): string[] {
  const names = [...row.matchAll(/`([^`]+)`/g)].map(([, name]) => name!);
  return [
    ...[...row.matchAll(/KUIK-[A-Z]{3}-\d{3}/g)]
      .filter(([code]) => !codes.has(code))
      .map(([code]) => `no code ${code}`),
    ...[...row.matchAll(/\bkuik_[a-z0-9_]+(?!\.\.\.)\b/g)]
      .filter(([name]) => !name.endsWith('_') && !isMetric(name))
      .map(([name]) => `no metric ${name}`),
    ...names
      .filter((name) => /^[A-Z][a-z]+([A-Z][a-z]+)+$/.test(name) && !OF_OTHERS.includes(name))
      .filter((name) => !new RegExp(`['"]${name}['"]|\\b${name}:`).test(sources))
      .map((name) => `nothing says ${name}`),
    ...names
      .filter((name) => /^[\w.-]+\/[\w./-]+\.(ts|mjs|yaml|md)$/.test(name) && !existsSync(path.join(CHECKOUT, name)))
      .map((name) => `no file ${name}`),
    ...[...row.matchAll(/`([a-z]\w*(?:\.\w+)+)` \(([^)]+)\)/g)]
      .filter(([, name, value]) => defaults.has(name!) && defaults.get(name!) !== asDefault(value!))
      .map(([, name, value]) => `${name} is ${defaults.get(name!)}, not ${value}`),
  ];
}

const tables = globSync('docs/*.md', { cwd: CHECKOUT })
  .sort()
  .map(
    (file) =>
      [
        file,
        read(file)
          .split('\n')
          .filter((line) => line.startsWith('|')),
      ] as const,
  )
  .filter(([, rows]) => rows.length > 0);

describe('the tables of docs/', () => {
  it('are many', () => expect(tables.length).toBeGreaterThan(15));

  it.each(tables)('%s names nothing that is not there', (_file, rows) => {
    expect(rows.flatMap(wrongIn)).toEqual([]);
  });

  it.each([
    ['| `KUIK-REG-999` |', 'no code KUIK-REG-999'],
    ['| `kuik_made_up_total{host}` |', 'no metric kuik_made_up_total'],
    ['| `MadeUpReason` |', 'nothing says MadeUpReason'],
    ['| `scripts/made-up.ts` |', 'no file scripts/made-up.ts'],
    ['| `tags.patience` (3 s) |', 'tags.patience is 2s, not 3 s'],
  ])('%s is noticed', (row, wrong) => expect(wrongIn(row)).toEqual([wrong]));
});
