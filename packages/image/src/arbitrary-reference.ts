import fc from 'fast-check';

const label = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?$/);
const component = fc.stringMatching(/^[a-z0-9]{1,6}((\.|_|__|-{1,3})[a-z0-9]{1,6}){0,2}$/);
/** Canonical references of every shape, for property tests. */
export const references = fc
  .record({
    host: fc.oneof(
      fc.tuple(label, label).map((labels) => labels.join('.')),
      fc.tuple(label, label, fc.integer({ min: 1, max: 65535 })).map(([a, b, port]) => `${a}.${b}:${port}`),
      fc.tuple(label, fc.integer({ min: 1, max: 65535 })).map(([a, port]) => `${a}:${port}`),
      fc.constantFrom('docker.io', 'localhost', 'localhost:5000', '[fd00::1]:5000'),
    ),
    path: fc.array(component, { minLength: 2, maxLength: 4 }).map((parts) => parts.join('/')),
    tag: fc.option(fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}$/), { nil: undefined }),
    digest: fc.option(
      fc.stringMatching(/^[0-9a-f]{64}$/).map((hex) => `sha256:${hex}`),
      { nil: undefined },
    ),
  })
  .map(({ host, path, tag, digest }) => ({
    host,
    path,
    ...(tag === undefined && digest === undefined ? { tag: 'latest' } : {}),
    ...(tag === undefined ? {} : { tag }),
    ...(digest === undefined ? {} : { digest }),
  }));
