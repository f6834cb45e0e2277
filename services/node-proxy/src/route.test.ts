import { describe, expect, it } from '@jest/globals';
import type { ImageState } from '@kuik/contracts';
import { CONFIRMED_FOR_MS, mayRun, NOTHING_SEEN, route, type Knowledge, type Step } from './route.ts';

const D = `sha256:${'d'.repeat(64)}`;
const PIN = `sha256:${'b'.repeat(64)}`;
const app = { host: 'registry.example.test', path: 'app' };
const literal = { host: 'host.example-5000', path: 'app' };
const v1 = { host: 'host.example:5000', path: 'app' };
const NOW = 1_000_000;

const state = (extra: Partial<ImageState> = {}): ImageState => ({
  reference: 'registry.example.test/app:1',
  uid: 'u',
  resourceVersion: '1',
  digest: D,
  ...extra,
});
const confirmed = (extra?: Partial<ImageState>): Knowledge => ({ state: state(extra), confirmedAtMs: NOW });
const old = (extra?: Partial<ImageState>): Knowledge => ({
  state: state(extra),
  confirmedAtMs: NOW - CONFIRMED_FOR_MS - 1,
});

/** `cache app:1 Reason [when] [stale] [lastResort]`, one line per step. */
function lines(steps: readonly Step[]): string[] {
  return steps.map(({ from, repository, reference, reason, when, stale, lastResort }) =>
    [
      from,
      `${repository.host}/${repository.path}`,
      reference.slice(0, 8),
      reason,
      when,
      stale && 'stale',
      lastResort && 'lastResort',
    ]
      .filter((part) => part !== undefined)
      .join(' '),
  );
}

const NAME = 'registry.example.test/app';
const NEW = `sha256:${'e'.repeat(64)}`;
const CHECK = { check: { everyMs: 0 } };

describe('route', () => {
  it.each<[string, { tag: string } | { digest: string }, Knowledge[], string[]]>([
    [
      'a digest needs no state',
      { digest: D },
      [],
      [
        `cache ${NAME} sha256:d ByDigest`,
        `upstream ${NAME} sha256:d ByDigest`,
        `cache ${NAME} sha256:d ByDigest lastResort`,
      ],
    ],
    [
      'a tag that is checked is what upstream says now, else what is kept, stale',
      { tag: '1' },
      [confirmed(CHECK)],
      [
        `upstream ${NAME} 1 TagChecked`,
        `cache ${NAME} sha256:d CheckFailed checkFailed stale`,
        `upstream ${NAME} sha256:d CheckFailed checkFailed stale`,
        `cache ${NAME} 1 CheckFailed checkFailed stale`,
        `cache ${NAME} sha256:d CheckFailed checkFailed stale lastResort`,
        `cache ${NAME} 1 CheckFailed checkFailed stale lastResort`,
      ],
    ],
    [
      'a tag that was checked a moment ago is what upstream said, whatever is kept',
      { tag: '1' },
      [{ ...confirmed(CHECK), verified: NEW }],
      [
        `cache ${NAME} sha256:e TagChecked`,
        `upstream ${NAME} sha256:e TagChecked`,
        `cache ${NAME} sha256:d CheckFailed checkFailed stale`,
        `upstream ${NAME} sha256:d CheckFailed checkFailed stale`,
        `cache ${NAME} 1 CheckFailed checkFailed stale`,
        `cache ${NAME} sha256:e TagChecked lastResort`,
        `cache ${NAME} sha256:d CheckFailed checkFailed stale lastResort`,
        `cache ${NAME} 1 CheckFailed checkFailed stale lastResort`,
      ],
    ],
    [
      'a tag that is checked while nobody confirms what is kept falls back to the own tag of the cache first',
      { tag: '1' },
      [old(CHECK)],
      [
        `upstream ${NAME} 1 TagChecked`,
        `cache ${NAME} 1 CheckFailed checkFailed stale`,
        `cache ${NAME} sha256:d CheckFailed checkFailed stale`,
        `upstream ${NAME} sha256:d CheckFailed checkFailed stale`,
        `cache ${NAME} 1 CheckFailed checkFailed stale lastResort`,
        `cache ${NAME} sha256:d CheckFailed checkFailed stale lastResort`,
      ],
    ],
    [
      'a pin is not checked',
      { tag: '1' },
      [confirmed({ ...CHECK, pin: PIN })],
      [`cache ${NAME} sha256:b Pinned`, `upstream ${NAME} sha256:b Pinned`, `cache ${NAME} sha256:b Pinned lastResort`],
    ],
    [
      'a kept tag is its cached digest',
      { tag: '1' },
      [confirmed()],
      [
        `cache ${NAME} sha256:d CachedTag`,
        `upstream ${NAME} sha256:d CacheLost`,
        `upstream ${NAME} 1 CacheLost`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale`,
        `cache ${NAME} sha256:d CachedTag lastResort`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale lastResort`,
      ],
    ],
    [
      'a pin wins',
      { tag: '1' },
      [confirmed({ pin: PIN, condemned: true })],
      [`cache ${NAME} sha256:b Pinned`, `upstream ${NAME} sha256:b Pinned`, `cache ${NAME} sha256:b Pinned lastResort`],
    ],
    [
      'a pin wins also when nobody confirms it',
      { tag: '1' },
      [old({ pin: PIN })],
      [`cache ${NAME} sha256:b Pinned`, `upstream ${NAME} sha256:b Pinned`, `cache ${NAME} sha256:b Pinned lastResort`],
    ],
    [
      'a condemned tag is asked upstream first',
      { tag: '1' },
      [confirmed({ condemned: true })],
      [
        `upstream ${NAME} 1 Condemned`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale lastResort`,
      ],
    ],
    [
      'a tag that was never copied',
      { tag: '1' },
      [{ state: { reference: 'x', uid: 'u', resourceVersion: '1' }, confirmedAtMs: NOW }],
      [
        `upstream ${NAME} 1 NotKept`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale lastResort`,
      ],
    ],
    [
      'what was known before NATS went away',
      { tag: '1' },
      [old()],
      [
        `cache ${NAME} 1 StateUnconfirmed`,
        `cache ${NAME} sha256:d StateUnconfirmed cacheDown`,
        `upstream ${NAME} sha256:d StateUnconfirmed cacheDown`,
        `upstream ${NAME} 1 CacheLost`,
        `cache ${NAME} 1 StateUnconfirmed lastResort`,
        `cache ${NAME} sha256:d StateUnconfirmed cacheDown lastResort`,
      ],
    ],
    [
      'a tag that kuik does not keep',
      { tag: '1' },
      [{ confirmedAtMs: NOW }],
      [
        `upstream ${NAME} 1 NotKept`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale lastResort`,
      ],
    ],
    [
      'a tag of which nobody can tell anything',
      { tag: '1' },
      [{}],
      [
        `upstream ${NAME} 1 StateUnavailable`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale`,
        `cache ${NAME} 1 UpstreamSilent upstreamSilent stale lastResort`,
      ],
    ],
  ])('%s', (_what, reference, knowledge, expected) => {
    expect(lines(route({ repositories: [app], reference }, knowledge, NOW))).toEqual(expected);
  });

  it('counts what was known as true for a reconnect', () => {
    const justLost = { state: state(), confirmedAtMs: NOW - CONFIRMED_FOR_MS };
    expect(route({ repositories: [app], reference: { tag: '1' } }, [justLost], NOW)[0]).toMatchObject({
      reason: 'CachedTag',
    });
  });

  it('takes the first meaning of a name that kuik keeps', () => {
    const request = { repositories: [literal, v1], reference: { tag: '1' } };
    const steps = route(request, [{ confirmedAtMs: NOW }, confirmed()], NOW);
    expect(new Set(steps.map(({ repository }) => repository))).toEqual(new Set([v1]));
  });

  it('tries a later meaning upstream only when the earlier one does not exist', () => {
    const request = { repositories: [literal, v1], reference: { tag: '1' } };
    expect(lines(route(request, [{ confirmedAtMs: NOW }, { confirmedAtMs: NOW }], NOW))).toEqual([
      'upstream host.example-5000/app 1 NotKept',
      'upstream host.example:5000/app 1 NotKept noSuchImage',
      'cache host.example-5000/app 1 UpstreamSilent upstreamSilent stale',
      'cache host.example:5000/app 1 UpstreamSilent upstreamSilent stale',
      'cache host.example-5000/app 1 UpstreamSilent upstreamSilent stale lastResort',
      'cache host.example:5000/app 1 UpstreamSilent upstreamSilent stale lastResort',
    ]);
    expect(lines(route({ ...request, reference: { digest: D } }, [], NOW))).toEqual([
      'cache host.example-5000/app sha256:d ByDigest',
      'cache host.example:5000/app sha256:d ByDigest',
      'upstream host.example-5000/app sha256:d ByDigest',
      'upstream host.example:5000/app sha256:d ByDigest noSuchImage',
      'cache host.example-5000/app sha256:d ByDigest lastResort',
      'cache host.example:5000/app sha256:d ByDigest lastResort',
    ]);
  });
});

describe('mayRun', () => {
  const nothing = NOTHING_SEEN;
  it.each([
    [undefined, nothing, true],
    ['cacheDown' as const, nothing, false],
    ['cacheDown' as const, { ...nothing, cacheDown: true }, true],
    ['upstreamSilent' as const, { ...nothing, cacheDown: true }, false],
    ['upstreamSilent' as const, { ...nothing, upstreamSilent: true }, true],
    ['noSuchImage' as const, { ...nothing, upstreamSilent: true }, false],
    ['noSuchImage' as const, { ...nothing, noSuchImage: true }, true],
  ])('%s after %j: %s', (when, seen, expected) => {
    const step: Step = { from: 'cache', repository: app, reference: '1', reason: 'ByDigest', ...(when && { when }) };
    expect(mayRun(step, seen)).toBe(expected);
  });

  it.each([
    [undefined, { ...nothing, cacheDown: true }, false],
    [undefined, { ...nothing, cacheSpared: true }, true],
    ['upstreamSilent' as const, { ...nothing, cacheSpared: true }, false],
    ['upstreamSilent' as const, { ...nothing, cacheSpared: true, upstreamSilent: true }, true],
  ])('%s as a last resort, after %j: %s', (when, seen, expected) => {
    const again: Step = { from: 'cache', repository: app, reference: '1', reason: 'ByDigest', lastResort: true };
    expect(mayRun({ ...again, ...(when && { when }) }, seen)).toBe(expected);
  });
});
