import { expect, it } from '@jest/globals';
import { repository } from './testing/objects.ts';
import { isUntouchedRepository } from './untouched.ts';

it.each([
  ['ours', {}, { labels: { 'kuik.enix.io/repository': 'registry.example.test-shop' } }, true],
  ['labelled', {}, { labels: { 'kuik.enix.io/repository': 'registry.example.test-shop', team: 'shop' } }, false],
  ['held by a finalizer', {}, { finalizers: ['mine'] }, false],
  [
    'owned by something else',
    {},
    { ownerReferences: [{ apiVersion: 'apps/v1', kind: 'Deployment', name: 'a', uid: 'u' }] },
    false,
  ],
  ['with wishes', { updateInterval: '1h' }, {}, false],
  ['annotated', {}, { annotations: { note: 'mine' } }, false],
])('a Repository is untouched: %s', (_name, spec, metadata, expected) => {
  expect(isUntouchedRepository(repository({ spec, metadata }))).toBe(expected);
});
