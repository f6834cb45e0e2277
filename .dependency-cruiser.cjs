// The dependency rule of docs/architecture.md, on every import:
// noun -> noun · adapter -> noun · kit -> nothing of ours · service -> noun, adapter, kit · bed -> any public door.
const NOUNS = ['image', 'contracts', 'rules'];
const ADAPTERS = ['registry', 'kube', 'bus', 'queue'];
const KITS = ['runtime', 'tooling'];

const folders = (names) => `^packages/(${names.join('|')})/`;
const TESTS = '\\.test\\.ts$';
// What only tests use: conformance suites, made-up worlds.
const FIXTURES = '(\\.(fixture|conformance)\\.ts|/(conformance|testing)/[^/]+\\.ts)$';
// Twins that stand in for an adapter have a door of their own (`exports` of the package).
const DOORS = '^packages/[^/]+/src/(index|memory|(memory|conformance|testing)/index)\\.ts$';
const OURS = '^(packages|services|e2e|bench)/';

/** Files of `from` may import, of ours, only themselves and the listed packages; their tests the testbed and the tooling too. */
function only(name, from, allowed, comment) {
  const rule = (suffix, names, files) => ({
    name: `${name}${suffix}`,
    comment,
    severity: 'error',
    from: { path: `(${from})`, ...files },
    to: { path: OURS, pathNot: ['^$1', ...(names.length > 0 ? [folders(names)] : [])] },
  });
  const tests = `(${from}).*(${TESTS}|${FIXTURES})`;
  return [
    rule('', allowed, { pathNot: [TESTS, FIXTURES] }),
    rule('-in-tests', [...allowed, 'testbed', 'tooling'], { path: tests }),
  ];
}

/** @type {import('dependency-cruiser').IConfiguration} */
module.exports = {
  forbidden: [
    ...only('noun-to-noun', folders(NOUNS), NOUNS, 'A noun knows nouns only.'),
    ...ADAPTERS.flatMap((adapter) =>
      only(`adapter-to-noun-${adapter}`, folders([adapter]), NOUNS, 'An adapter knows nouns, and no other adapter.'),
    ),
    ...KITS.flatMap((kit) => only(`kit-to-nothing-${kit}`, folders([kit]), [], 'A kit knows nothing of ours.')),
    ...only(
      'testbed-to-nouns',
      folders(['testbed']),
      [...NOUNS, 'runtime'],
      'Adapters are tested on the testbed: it must not know them, or the workspaces would be a circle.',
    ),
    ...only(
      'service-to-package',
      '^services/[^/]+/',
      [...NOUNS, ...ADAPTERS, 'runtime'],
      'A service knows nouns, adapters and kits, and no other service.',
    ),
    {
      name: 'package-to-service',
      comment: 'No package knows a service, tests included: services are started as processes.',
      severity: 'error',
      from: { path: '^packages/' },
      to: { path: '^(services|e2e|bench)/' },
    },
    {
      name: 'bed-to-service',
      comment: 'Stories, benchmarks and the testbed start services as processes.',
      severity: 'error',
      from: { path: '^(e2e|bench|scripts)/' },
      to: { path: '^services/' },
    },
    {
      name: 'front-door',
      comment: 'Another workspace is entered through its door alone.',
      severity: 'error',
      from: { path: '^((packages|services)/[^/]+|e2e|bench|scripts)/' },
      to: { path: '^packages/[^/]+/', pathNot: ['^$1/', DOORS, '^packages/tooling/'] },
    },
    {
      name: 'no-circle',
      comment: 'Modules that need each other are one module.',
      severity: 'error',
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ['type-only'] } },
    },
    {
      name: 'no-test-in-source',
      comment: 'What runs never imports a test.',
      severity: 'error',
      from: { pathNot: [TESTS, FIXTURES] },
      to: { path: [TESTS, FIXTURES] },
    },
    {
      name: 'resolvable',
      comment: 'An import that leads nowhere.',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: ['/dist/', '\\.kuik/'] },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    // pnpm links workspaces into node_modules: what counts is where they really are.
    preserveSymlinks: false,
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'default', 'types'],
      extensions: ['.ts', '.mjs', '.js', '.cjs', '.json'],
    },
  },
};
