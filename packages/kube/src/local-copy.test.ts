import { describe, expect, it } from '@jest/globals';
import { LocalCopy } from './local-copy.ts';
import { keyOf } from './object-name.ts';

const object = (name: string, resourceVersion: string, uid = name) => ({
  metadata: { name, namespace: 'ns', uid, resourceVersion },
});
const name = (of: string) => ({ name: of, namespace: 'ns' });
const copyWith = (...objects: ReturnType<typeof object>[]) => {
  const copy = new LocalCopy<ReturnType<typeof object>, string>(
    ({ metadata }) => `${metadata.uid}@${metadata.resourceVersion}`,
  );
  for (const each of objects) copy.put(each);
  return copy;
};

describe('LocalCopy', () => {
  it.each([
    ['a new object', [], object('a', '5'), [{ name: name('a'), old: undefined, now: 'a@5' }]],
    ['the same version', [object('a', '5')], object('a', '5'), []],
    ['a newer version', [object('a', '5')], object('a', '6'), [{ name: name('a'), old: 'a@5', now: 'a@6' }]],
    [
      'an older version, after a restore',
      [object('a', '5')],
      object('a', '3'),
      [{ name: name('a'), old: 'a@5', now: 'a@3' }],
    ],
    [
      'another object of the name',
      [object('a', '5')],
      object('a', '9', 'b'),
      [
        { name: name('a'), old: 'a@5', now: undefined },
        { name: name('a'), old: undefined, now: 'b@9' },
      ],
    ],
  ])('takes %s', (_, before, put, expected) => {
    expect(copyWith(...before).put(put)).toEqual(expected);
  });

  it('removes what it knows, and not the successor of what went', () => {
    const copy = copyWith(object('a', '5'));
    expect(copy.remove(object('a', '4', 'older'))).toEqual([]);
    expect(copy.remove(object('b', '4'))).toEqual([]);
    expect(copy.remove(object('a', '6'))).toEqual([{ name: name('a'), old: 'a@5', now: undefined }]);
    expect(copy.size()).toBe(0);
  });

  it('keeps what a full list holds', () => {
    const copy = copyWith(object('a', '5'), object('b', '5'), object('c', '5'));
    expect(copy.keepOnly(new Set([keyOf(name('b'))])).map((change) => change.name.name)).toEqual(['a', 'c']);
    expect([...copy.values()]).toEqual(['b@5']);
    expect([copy.get(name('b')), copy.get({ name: 'b' })]).toEqual(['b@5', undefined]);
  });
});
