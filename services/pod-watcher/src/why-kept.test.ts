import { describe, expect, it } from '@jest/globals';
import { at, cachedImage, DAY, NOW, UID } from './testing/objects.ts';
import type { Holder } from './usage.ts';
import { type KeptView, whyKept } from './why-kept.ts';

const holders = (...all: [kind: string, name: string, namespace?: string][]): Map<string, Holder> =>
  new Map(
    all.map(([kind, name, namespace = 'shop']) => [`${kind} ${name}`, { kind, namespace, name, pullSecrets: [] }]),
  );
const unused = { usedBy: { forUid: UID, count: 0 }, unusedSince: at(-DAY), expiresAt: at(DAY) };
const lines = (change: Partial<KeptView>) =>
  whyKept({ holders: new Map(), unknown: [], now: NOW, object: cachedImage(), ...change }).map(
    ({ reason, message }) => `${reason}: ${message}`,
  );

describe('whyKept', () => {
  it.each<[string, Partial<KeptView>, string[]]>([
    ['nothing', {}, []],
    ['a pod', { holders: holders(['Pod', 'web']) }, ['InUse: held by Pod shop/web']],
    [
      'holders of several kinds, workloads before pods',
      { holders: holders(['Pod', 'b'], ['Pod', 'a'], ['ReplicaSet', 'web-1'], ['Deployment', 'web']) },
      [
        'InUse: held by Deployment shop/web',
        'InUse: held by ReplicaSet shop/web-1',
        'InUse: held by 2 of kind Pod: shop/a, shop/b',
      ],
    ],
    [
      'many',
      { holders: holders(...['a', 'b', 'c', 'd', 'e'].map((name) => ['Pod', name] as [string, string])) },
      ['InUse: held by 5 of kind Pod: shop/a, shop/b, shop/c and 2 more'],
    ],
    ['a holder in no namespace', { holders: holders(['SidecarSet', 'all', '']) }, ['InUse: held by SidecarSet all']],
    [
      'a pod that no watch has shown',
      { expected: { requestId: 'r1' } },
      ['JustAdmitted: a pod that names it was admitted a moment ago (request r1)'],
    ],
    ['a wish', { object: cachedImage({ spec: { retain: true } }) }, ['Retained: spec.retain keeps it']],
    [
      'what could not be seen',
      {
        unknown: [
          { resource: 'rollouts', why: 'refused' },
          { resource: 'jobs', why: 'pending' },
        ],
      },
      ['HoldersUnknown: nothing is removed while these are not known: rollouts (refused), jobs (pending)'],
    ],
    [
      'the computed date',
      { object: cachedImage({ status: unused }) },
      [`NotExpired: unused since ${at(-DAY)}; expires at ${at(DAY)}`],
    ],
    ['the computed date is past', { object: cachedImage({ status: { ...unused, expiresAt: at(0) } }) }, []],
    [
      "a person's date, which wins",
      { object: cachedImage({ spec: { expiresAt: at(5 * DAY) }, status: unused }) },
      [`NotExpired: a person's date is to come: spec.expiresAt ${at(5 * DAY)}`],
    ],
    ["a person's date is past", { object: cachedImage({ spec: { expiresAt: at(0) }, status: unused }) }, []],
    ['no object yet', { object: undefined, holders: holders(['Job', 'j']) }, ['InUse: held by Job shop/j']],
  ])('%s', (_name, view, expected) => {
    expect(lines(view)).toEqual(expected);
  });

  it('names at most twenty of a kind, and counts all', () => {
    const many = holders(...Array.from({ length: 30 }, (_, index) => ['Pod', `p${index}`] as [string, string]));
    const [kept] = whyKept({ holders: many, unknown: [], now: NOW });
    expect(kept?.holders?.count).toBe(30);
    expect(kept?.holders?.names).toHaveLength(20);
  });
});
