import { describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { confirmHolders } from './confirm-holders.ts';
import { cachedImage, IMAGE, UID } from './testing/objects.ts';
import type { Holder } from './usage.ts';

const HOLDER: Holder = { kind: 'Pod', namespace: 'default', name: 'web', pullSecrets: [] };
const ADMITTED = 'a pod that names it was admitted a moment ago (request r1)';
const GOING = { deletionTimestamp: '2026-01-01T00:00:00Z' };
const DELETED = [cachedImage({ metadata: GOING })];

describe('confirmHolders', () => {
  it.each<[string, object, string, string | undefined]>([
    ['nobody', {}, 'free', undefined],
    ['a pod', { held: true }, 'held', 'held by Pod default/web'],
    ['a pod of an image whose object is unknown', { held: true, objects: [] }, 'held', 'held by Pod default/web'],
    ['an announced pod', { expected: true }, 'held', ADMITTED],
    ['a pod that comes while the object is read', { late: true }, 'held', 'held by Pod default/web'],
    ['a pod that is announced while the object is read', { lateHint: true }, 'held', ADMITTED],
    ['spec.retain, read afresh', { fresh: cachedImage({ spec: { retain: true } }) }, 'held', 'spec.retain keeps it'],
    ['an unknown object', { objects: [] }, 'unknown', undefined],
    ['another object of that image', { objects: [cachedImage({ metadata: { uid: 'uid-2' } })] }, 'unknown', undefined],
    ['an object made anew meanwhile', { fresh: cachedImage({ metadata: { uid: 'uid-2' } }) }, 'unknown', undefined],
    ['an object that cannot be read', { fresh: undefined }, 'unknown', undefined],
    ['a pod, of an object that was deleted', { held: true, objects: DELETED }, 'held', 'held by Pod default/web'],
    [
      'an announced pod alone, of an object that was deleted',
      { expected: true, objects: DELETED },
      'unknown',
      undefined,
    ],
    [
      'a pod that is announced while a deleted object is read',
      { lateHint: true, fresh: cachedImage({ metadata: GOING }) },
      'unknown',
      undefined,
    ],
    [
      'spec.retain of an object that was deleted',
      { fresh: cachedImage({ metadata: GOING, spec: { retain: true } }) },
      'free',
      undefined,
    ],
    ['what is no reference', { reference: 'a:b:c' }, 'unknown', undefined],
  ])('%s: %s', async (_name, change, verdict, holder) => {
    const given = {
      held: false,
      late: false,
      lateHint: false,
      expected: false,
      objects: [cachedImage()],
      fresh: cachedImage(),
      reference: IMAGE,
      ...change,
    };
    let { held, expected } = given;
    const view = {
      holdersOf: (image: string) => new Map(held && image === IMAGE ? [['pods default/web', HOLDER]] : []),
      expected: () => (expected ? { requestId: 'r1' } : undefined),
      objectsOf: () => given.objects,
    };
    const fresh = (): Promise<CachedImage> => {
      held = given.late;
      expected = given.lateHint;
      return given.fresh === undefined ? Promise.reject(new Error('away')) : Promise.resolve(given.fresh);
    };
    const answer = await confirmHolders({ uid: UID, reference: given.reference }, view, fresh);
    expect(answer).toEqual({ uid: UID, verdict, ...(holder === undefined ? {} : { holder }) });
  });
});
