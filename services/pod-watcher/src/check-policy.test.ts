import { describe, expect, it } from '@jest/globals';
import type { CachedImageStatus, Repository } from '@kuik/contracts';
import { checkOf, type CheckSettings } from './check-policy.ts';
import { cachedImage } from './testing/objects.ts';
import type { Holder } from './usage.ts';

const pod: Holder = { kind: 'Pod', namespace: 'shop', name: 'web', pullSecrets: [] };
const eager: Holder = { ...pod, name: 'eager', always: true };
const held = (...holders: Holder[]): Map<string, Holder> => new Map(holders.map((each) => [each.name, each]));
const repository = (spec: Partial<Repository['spec']>): Repository => ({
  metadata: { name: 'r', uid: 'r', resourceVersion: '1' },
  spec: { name: 'docker.io/library/nginx', ...spec },
});
const nobody = { forUid: cachedImage().metadata.uid, count: 0 };
const unset: CheckSettings = { intervalMs: 600_000 };
const ALWAYS = { mode: 'Always', why: 'PullPolicyAlways' } as const;

describe('checkOf', () => {
  it.each<[string, Parameters<typeof checkOf>, CachedImageStatus['check']]>([
    ['nobody wants the newest', [cachedImage(), undefined, held(pod), unset], undefined],
    ['one of several does', [cachedImage(), repository({}), held(pod, eager), unset], ALWAYS],
    [
      'a Repository that says never, whatever they want',
      [cachedImage(), repository({ checkOnPull: 'Never' }), held(eager), { ...unset, mode: 'Always' }],
      undefined,
    ],
    [
      'a Repository that says always, whatever they want',
      [cachedImage(), repository({ checkOnPull: 'Always' }), held(pod), unset],
      { mode: 'Always', why: 'Repository' },
    ],
    [
      'an interval of the Repository',
      [cachedImage(), repository({ checkOnPull: 'Interval', checkInterval: '1h' }), held(), unset],
      { mode: 'Interval', interval: '1h', why: 'Repository' },
    ],
    [
      'an interval of the Repository that says nothing else',
      [cachedImage(), repository({ checkInterval: '1h' }), held(eager), { ...unset, mode: 'Never' }],
      { mode: 'Interval', interval: '1h', why: 'Repository' },
    ],
    [
      'an interval beside another wish',
      [cachedImage(), repository({ checkOnPull: 'Always', checkInterval: '1h' }), held(), unset],
      { mode: 'Always', why: 'Repository' },
    ],
    [
      'the interval of the settings for a Repository that names none',
      [cachedImage(), repository({ checkOnPull: 'Interval' }), held(), unset],
      { mode: 'Interval', interval: '10m', why: 'Repository' },
    ],
    [
      'the settings, where the Repository does not say',
      [cachedImage(), repository({}), held(eager), { mode: 'Interval', intervalMs: 30_000 }],
      { mode: 'Interval', interval: '30s', why: 'Settings' },
    ],
    ['never, by the settings', [cachedImage(), undefined, held(eager), { ...unset, mode: 'Never' }], undefined],
    [
      'a digest',
      [
        cachedImage({ spec: { sourceImage: `docker.io/library/nginx@sha256:${'a'.repeat(64)}` } }),
        repository({ checkOnPull: 'Always' }),
        held(eager),
        unset,
      ],
      undefined,
    ],
    [
      'nobody holds it any more: as before',
      [cachedImage({ status: { usedBy: nobody, check: ALWAYS } }), undefined, held(), unset],
      ALWAYS,
    ],
    [
      'nobody holds it any more, and before it was its Repository that said so',
      [
        cachedImage({ status: { usedBy: nobody, check: { mode: 'Always', why: 'Repository' } } }),
        undefined,
        held(),
        unset,
      ],
      undefined,
    ],
  ])('%s', (_what, input, expected) => {
    expect(checkOf(...input)).toEqual(expected);
  });
});
