import { describe, expect, it } from '@jest/globals';
import { CACHED_IMAGES } from '@kuik/kube';
import { keptObject } from './kept-object.ts';
import { cachedImage, repository } from './testing/objects.ts';
import { imageTraces, repositoryTraces } from './v1-traces.ts';

const fields = (part: 'spec' | 'status', names: readonly string[]) => ({
  [`f:${part}`]: { '.': {}, ...Object.fromEntries(names.map((name) => [`f:${name}`, {}])) },
});
const entry = (manager: string, fieldsV1: object, operation = 'Update') => ({ manager, operation, fieldsV1 });
const v1 = (fieldsV1: object) => entry('manager', fieldsV1);
const managed = (...managedFields: object[]) => ({ metadata: { managedFields } as object });
const DATE = { expiresAt: '2026-12-01T00:00:00Z' };

describe('what kuik v1 left in a CachedImage', () => {
  const spec = v1(fields('spec', ['sourceImage', 'expiresAt']));
  const person = entry('kubectl-edit', fields('spec', ['expiresAt']));
  const applied = entry('helm', fields('spec', ['expiresAt', 'retain']), 'Apply');
  const status = v1(fields('status', ['digest', 'isCached', 'usedBy']));

  it.each<[string, object[], object | undefined]>([
    ['nothing when nobody is known', [], undefined],
    ['nothing when v1 wrote nothing', [person, applied], undefined],
    [
      "a date that it computed: withdrawn, the person's other wishes stay",
      [spec],
      { object: { metadata: { managedFields: [{}] }, spec: { expiresAt: null } } },
    ],
    ['a date that a person changed is hers', [v1(fields('spec', ['sourceImage'])), person], keeping(person)],
    ['a date that somebody else stands for as well', [spec, applied], keeping(applied)],
    ['the status, cleared first', [status], { status: { digest: null, isCached: null, usedBy: null }, ...keeping() }],
    ['an apply under its name is somebody else', [entry('manager', fields('spec', ['expiresAt']), 'Apply')], undefined],
  ])('%s', (_name, managedFields, expected) => {
    expect(imageTraces(cachedImage({ ...managed(...managedFields), spec: DATE }))).toEqual(expected);
  });

  function keeping(...managedFields: object[]) {
    return { object: { metadata: { managedFields: managedFields.length === 0 ? [{}] : managedFields } } };
  }
});

describe('what kuik v1 left in a Repository', () => {
  const written = v1({
    ...fields('spec', ['pullSecretsNamespace', 'pullSecretNames']),
    ...fields('status', ['phase', 'lastUpdate']),
  });

  it.each<[string, object, object | undefined]>([
    [
      'a namespace without any secret',
      { pullSecretsNamespace: 'shop' },
      { pullSecretNames: null, pullSecretsNamespace: null },
    ],
    [
      'no more than the status when it named secrets',
      { pullSecretsNamespace: 'shop', pullSecretNames: ['a'] },
      undefined,
    ],
  ])('%s', (_name, spec, withdrawn) => {
    expect(repositoryTraces(repository({ ...managed(written), spec }))).toEqual({
      status: { phase: null },
      object: { metadata: { managedFields: [{}] }, ...(withdrawn === undefined ? {} : { spec: withdrawn }) },
    });
  });
});

describe('what is kept of an object', () => {
  it('is who wrote it only as long as v1 is among them', () => {
    const both = cachedImage(managed(v1({}), entry('kubectl', {})));
    expect(keptObject(both, CACHED_IMAGES)).toMatchObject({ kind: 'CachedImage', ...both });
    expect(keptObject(cachedImage(managed(entry('kubectl', {}))), CACHED_IMAGES).metadata).toEqual(
      cachedImage().metadata,
    );
  });
});
