import type { DeclaredService, GeneratedDocument, ServiceDeclaration } from '../packages/contracts/src/index.ts';

type Declarations = ReadonlyMap<string, ServiceDeclaration>;

const NOTICE = 'Written by `node scripts/generate.ts` from services/*/service.yaml; change it there.';

/** The part of each declaration that services go by, by name. */
export function declaredServices(declarations: Declarations): Record<string, DeclaredService> {
  return Object.fromEntries(
    [...declarations].map(([name, { runs, needs, cache, grants, nats, queues }]) => [
      name,
      {
        runs,
        needs,
        ...(cache === undefined ? {} : { cache }),
        ...(grants === undefined ? {} : { grants }),
        nats,
        queues,
      },
    ]),
  );
}

/** What contracts and the chart know of services. */
export function serviceDocuments(declarations: Declarations): GeneratedDocument[] {
  const services = declaredServices(declarations);
  const chart = Object.entries(services).map(([name, service]) => ({
    name,
    ...service,
    env: declarations.get(name)!.env,
  }));
  return [
    {
      path: 'packages/contracts/src/generated/services.ts',
      text: [
        `// ${NOTICE}`,
        "import type { DeclaredService } from '../service-declaration.ts';",
        '',
        `export const DECLARED_SERVICES = ${JSON.stringify(services, undefined, 2)} as const satisfies Readonly<Record<string, DeclaredService>>;`,
        '',
      ].join('\n'),
    },
    { path: 'charts/kube-image-keeper/files/services.json', text: `${JSON.stringify(chart, undefined, 2)}\n` },
  ];
}

/** What the map says of one workspace; from its package.json. */
export interface ServiceManifest {
  readonly description?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/** The rows of services in the map of docs/architecture.md: every folder, what it holds, what it depends on. */
export function architectureMap(manifests: ReadonlyMap<string, ServiceManifest>): string {
  const rows = [...manifests].map(([name, { description = '', dependencies = {} }]) => [
    `\`services/${name}\``,
    'service',
    description,
    ours(dependencies).join(', ') || '-',
  ]);
  return `\n${aligned([['workspace', 'kind', 'what it holds', 'may depend on'], ...rows])}\n`;
}

/** Workspaces among the dependencies, without their scope. */
function ours(dependencies: Readonly<Record<string, string>>): string[] {
  return Object.keys(dependencies).flatMap((name) => (name.startsWith('@kuik/') ? [name.slice('@kuik/'.length)] : []));
}

/** A table of Markdown as the formatter leaves it: cells as wide as the widest of their column. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[], fill: string): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column]!, fill)).join(' | ')} |`;
  const [head, ...body] = rows.map((row) => line(row, ' '));
  return [
    head,
    line(
      widths.map(() => ''),
      '-',
    ),
    ...body,
  ].join('\n');
}
