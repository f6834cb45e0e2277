import { CRDS, crdYaml } from './crds.ts';
import { DEFAULTS, FIXED } from './defaults.ts';
import { formatDuration } from './duration.ts';
import { ERROR_CODES } from './error-codes.ts';
import { KNOWN_REGISTRIES } from './known-registries.ts';
import { table, type Row } from './markdown-table.ts';
import { METRICS } from './metrics.ts';
import { METRICS_V1 } from './metrics-v1.ts';
import type { DeclaredService } from './service-declaration.ts';
import { whoSaysWhat } from './who-says-what.ts';

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

const notice = (from: string): string =>
  `<!-- Written by \`node scripts/generate.ts\` from ${from}; change it there. -->`;
const BYTE_UNITS = [
  ['MiB', 1024 * 1024],
  ['KiB', 1024],
] as const;

/** The chart's CRDs, and the tables of defaults, metrics, errors and services in docs/. */
export function generatedDocuments(services: Readonly<Record<string, DeclaredService>>): GeneratedDocument[] {
  return [
    ...CRDS.map((crd) => ({ path: `charts/kube-image-keeper/crds/${crd.spec.names.plural}.yaml`, text: crdYaml(crd) })),
    { path: 'docs/defaults.md', text: defaultsPage() },
    { path: 'docs/metrics.md', text: metricsPage() },
    { path: 'docs/errors.md', text: errorsPage() },
    { path: 'docs/services.md', text: servicesPage(services) },
  ];
}

function defaultsPage(): string {
  const rows = (values: Table): Row[] =>
    flatten(values).map(([name, value]) => [`\`${settingOf(name)}\``, readable(name, value)]);
  return [
    '# Defaults',
    notice('packages/contracts'),
    'The defaults that several parts lean on. Each is a setting of that name of the services that use it; what one service alone decides is in ' +
      'its `src/config.ts` (environment `KUIK_...`, or YAML in the file that `KUIK_CONFIG` names). Durations are written with their ' +
      'units: `500ms`, `30s`, `1h30m`, `7d`.',
    table(['setting', 'default'], rows(DEFAULTS)),
    '## Well-known registries',
    'Their `pace` unless `pace.hosts.<host>` says another one; docs/quotas.md tells what it is for.',
    table(
      ['registry', 'per second', 'burst', 'what it says of its limits'],
      Object.entries(KNOWN_REGISTRIES).map(([host, { pace, says }]) => [
        `\`${host}\``,
        String(pace.perSecond),
        String(pace.burst),
        says,
      ]),
    ),
    '## Fixed',
    'What no setting changes.',
    table(['name', 'value'], rows(FIXED)),
  ]
    .join('\n\n')
    .concat('\n');
}

function metricsPage(): string {
  const rows = [...Object.values(METRICS), ...Object.values(METRICS_V1)].map(({ name, type, labels, help }) => [
    `\`${name}\``,
    type,
    labels.map((label) => `\`${label}\``).join(', '),
    help,
  ]);
  return page(
    'Metrics',
    'Every metric of ours, served at `/metrics` of each service beside those of Node.js and `kuik_build_info` (constant 1; labels `service`, `version`, `node`). Units are in the names. `kube_image_keeper_*` are those of kuik v1 (see `docs/kuik-v1.md`).',
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

function servicesPage(services: Readonly<Record<string, DeclaredService>>): string {
  const list = (names: readonly string[]): string => names.map((name) => `\`${name}\``).join(', ');
  const rows = Object.entries(services).map(([name, { runs, needs, cache }]) => [
    `\`${name}\``,
    runs.replaceAll('-', ' '),
    list(needs),
    cache ?? '',
  ]);
  const ends = whoSaysWhat(services).map(({ name, kind, from, to, owners }) => [
    `\`${name}\``,
    kind,
    list(from) + (owners.length === 0 ? '' : ` (made by ${list(owners)})`),
    list(to),
  ]);
  return [
    '# Services',
    notice('services/*/service.yaml'),
    'What each service says of itself in its folder (the schema is `packages/contracts/src/service-declaration.ts`), and what follows from it: ' +
      'sections of its configuration beside `http` and `nats`, users and keys, permissions.',
    table(['service', 'runs', 'needs', 'key of the cache'], rows),
    '## Who says what',
    'Subjects of NATS, buckets and queues. The permissions of each service on NATS and Redis are made of this and nothing else.',
    table(['name', 'kind', 'from', 'to'], ends),
  ]
    .join('\n\n')
    .concat('\n');
}

function page(title: string, intro: string, head: Row, rows: readonly Row[]): string {
  return `${[`# ${title}`, notice('packages/contracts'), intro, table(head, rows)].join('\n\n')}\n`;
}

function flatten(table: Table, prefix = ''): [string, Value][] {
  return Object.entries(table).flatMap(([name, value]): [string, Value][] =>
    typeof value === 'object' && !Array.isArray(value)
      ? flatten(value as Table, `${prefix}${name}.`)
      : [[`${prefix}${name}`, value as Value]],
  );
}

/** `graceMs` of the table is the setting `grace`, which is written with its unit. */
function settingOf(name: string): string {
  return name.replace(/Ms$/, '');
}

/** `60000` of `graceMs` is `1m`, as it is written in a configuration; sizes likewise; everything else as it is. */
function readable(name: string, value: Value): string {
  if (typeof value !== 'number') return [value].flat().join(', ');
  if (name.endsWith('Ms')) return formatDuration(value);
  if (name.endsWith('Bytes')) return inUnits(value, BYTE_UNITS, 'B');
  return String(value);
}

function inUnits(value: number, units: readonly (readonly [string, number])[], smallest: string): string {
  const [unit, size] = units.find(([, size]) => value >= size && value % size === 0) ?? [smallest, 1];
  return `${value / size} ${unit}`;
}
