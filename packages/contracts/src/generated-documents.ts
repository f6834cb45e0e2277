import { CRDS, crdYaml } from './crds.ts';
import { DEFAULTS } from './defaults.ts';
import { ERROR_CODES } from './error-codes.ts';
import { METRICS } from './metrics.ts';

/** A file of the repository that is written from these tables and never by hand. */
export interface GeneratedDocument {
  /** From the top of the repository. */
  readonly path: string;
  readonly text: string;
}

type Value = string | number | readonly string[];
interface Table {
  readonly [name: string]: Value | Table;
}

const NOTICE = '<!-- Written by `node scripts/generate.ts` from packages/contracts; change it there. -->';
const MS_UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
] as const;
const BYTE_UNITS = [
  ['MiB', 1024 * 1024],
  ['KiB', 1024],
] as const;

/** The chart's CRDs, and the tables of defaults, metrics and errors in docs/. */
export function generatedDocuments(): GeneratedDocument[] {
  return [
    ...CRDS.map((crd) => ({ path: `charts/kube-image-keeper/crds/${crd.spec.names.plural}.yaml`, text: crdYaml(crd) })),
    { path: 'docs/defaults.md', text: defaultsPage() },
    { path: 'docs/metrics.md', text: metricsPage() },
    { path: 'docs/errors.md', text: errorsPage() },
  ];
}

function defaultsPage(): string {
  const rows = flatten(DEFAULTS).map(([name, value]) => [`\`${name}\``, readable(name, value)]);
  return page(
    'Defaults',
    'The defaults that several parts lean on. Each is a setting of the service that uses it; what one service alone decides, and what every ' +
      'setting is called, is in its `src/config.ts` (environment `KUIK_...`, or YAML in the file that `KUIK_CONFIG` names).',
    ['default', 'value'],
    rows,
  );
}

function metricsPage(): string {
  const rows = Object.values(METRICS).map(({ name, type, labels, help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
  ]);
  return page(
    'Metrics',
    'Every metric of ours, served at `/metrics` of each service beside those of Node.js. Units are in the names.',
    ['metric', 'type', 'labels', 'what it tells'],
    rows,
  );
}

function errorsPage(): string {
  const rows = Object.values(ERROR_CODES).map(({ code, http, meaning, remedy }) => [
    `\`${code}\``,
    http === 0 ? '' : String(http),
    meaning,
    remedy,
  ]);
  return page(
    'Errors',
    'Stable codes, for search and alerts, in logs, resources and answers. The status is what the node proxy answers with.',
    ['code', 'status', 'what happened', 'what to do'],
    rows,
  );
}

function page(title: string, intro: string, head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [`# ${title}`, '', NOTICE, '', intro, '', line(head), line(head.map(() => '---')), ...rows.map(line), ''].join(
    '\n',
  );
}

function flatten(table: Table, prefix = ''): [string, Value][] {
  return Object.entries(table).flatMap(([name, value]): [string, Value][] =>
    typeof value === 'object' && !Array.isArray(value)
      ? flatten(value as Table, `${prefix}${name}.`)
      : [[`${prefix}${name}`, value as Value]],
  );
}

/** `60000` of `graceMs` is `1 min`; sizes likewise; everything else as it is. */
function readable(name: string, value: Value): string {
  if (typeof value !== 'number') return [value].flat().join(', ');
  if (name.endsWith('Ms')) return inUnits(value, MS_UNITS, 'ms');
  if (name.endsWith('Bytes')) return inUnits(value, BYTE_UNITS, 'B');
  return String(value);
}

function inUnits(value: number, units: readonly (readonly [string, number])[], smallest: string): string {
  const [unit, size] = units.find(([, size]) => value >= size && value % size === 0) ?? [smallest, 1];
  return `${value / size} ${unit}`;
}
