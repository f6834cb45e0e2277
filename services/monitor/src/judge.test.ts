import { describe, expect, it } from '@jest/globals';
import type { UpstreamStanza } from '@kuik/contracts';
import type { RegistryErrorCode } from '@kuik/registry';
import { at, DIGEST, imageOf, NOW } from './fixtures.ts';
import { judge, type CheckResult } from './judge.ts';

const uid = 'uid-app';
const OTHER = `sha256:${'b'.repeat(64)}`;
const seen = (digest: string) => ({ kind: 'seen', digest }) as const;
const failed = (code: RegistryErrorCode, retryAfterMs?: number) =>
  ({ kind: 'failed', code, message: 'it said so', retryAfterMs }) as const;
const stanza = (change: Partial<UpstreamStanza>): UpstreamStanza => ({
  forUid: uid,
  state: 'Available',
  digest: DIGEST,
  ...change,
});
const withUpstream = (upstream: UpstreamStanza) => imageOf({ status: { ...imageOf().status, upstream } });

describe('judge', () => {
  it.each<[string, Parameters<typeof judge>[0], string, string]>([
    ['the cached digest', imageOf(), DIGEST, 'Available'],
    ['another one', imageOf(), OTHER, 'Moved'],
    ['any, when nothing is cached', imageOf({ status: { cache: { forUid: uid } } }), OTHER, 'Available'],
    [
      'another one, than that of a former object',
      imageOf({ status: { cache: { forUid: 'x', digest: DIGEST } } }),
      OTHER,
      'Available',
    ],
    [
      'another one, for a reference by digest',
      imageOf({ spec: { sourceImage: `a.test/b:1@${OTHER}` } }),
      OTHER,
      'Available',
    ],
  ])('seen %s', (_, image, digest, state) => {
    const judgement = judge(image, seen(digest), NOW);
    expect(judgement).toMatchObject({ state, record: true, host: { do: 'go-on' } });
    expect(judgement.stanza).toEqual({ forUid: image.metadata.uid, state, digest, lastSeen: at(0) });
  });

  it.each<[RegistryErrorCode, string, string, object]>([
    ['not-found', 'Deleted', 'KUIK-REG-404', { do: 'go-on' }],
    ['unauthorized', 'Unauthorized', 'KUIK-REG-401', { do: 'go-on' }],
    ['forbidden', 'Unauthorized', 'KUIK-REG-403', { do: 'go-on' }],
    ['rate-limited', 'RateLimited', 'KUIK-REG-429', { do: 'park', parkMs: 60_000 }],
    ['refused', 'Unreachable', 'KUIK-REG-503', { do: 'back-off' }],
    ['dns', 'Unreachable', 'KUIK-REG-503', { do: 'back-off' }],
    ['timeout', 'Unreachable', 'KUIK-REG-504', { do: 'back-off' }],
    ['tls', 'Error', 'KUIK-REG-531', { do: 'go-on' }],
    ['address-refused', 'Error', 'KUIK-REG-530', { do: 'go-on' }],
    ['digest-mismatch', 'Error', 'KUIK-REG-520', { do: 'go-on' }],
    ['server-error', 'Error', 'KUIK-REG-502', { do: 'go-on' }],
    ['invalid-response', 'Error', 'KUIK-REG-502', { do: 'go-on' }],
  ])('failed with %s: %s', (code, state, errorCode, host) => {
    const image = withUpstream(stanza({ lastSeen: at(-99) }));
    const judgement = judge(image, failed(code), NOW);
    expect(judgement).toMatchObject({ state, record: true, host });
    expect(judgement.stanza).toMatchObject({
      digest: DIGEST,
      lastSeen: at(-99),
      error: { code: errorCode, at: at(0) },
    });
    expect(judgement.stanza.error?.message).toMatch(/^cannot check registry\.example\.test\/app:1: it said so\. [A-Z]/);
  });

  it('names the secrets of a refusal', () => {
    const told = { tried: [], unread: [{ name: 'acme/b', mistake: 'has no key .dockercfg' }] };
    const judgement = judge(imageOf(), { ...failed('unauthorized'), ...told }, NOW);
    expect(judgement.stanza.error?.message).toContain(
      'gave no login (secret acme/b: has no key .dockercfg): it said so.',
    );
  });

  it('parks a registry by its own word, and says when it is asked again', () => {
    const judgement = judge(imageOf(), failed('rate-limited', 900_000), NOW);
    expect(judgement.host).toEqual({ do: 'park', parkMs: 900_000 });
    expect(judgement.stanza.error?.retryAt).toBe(at(15));
  });

  const LIE = { code: 'KUIK-REG-406', message: 'x', at: at(-60) };
  const GONE = { code: 'KUIK-REG-404', message: 'x', at: at(-60) };
  const lied = stanza({ state: 'Deleted', error: LIE });
  const gone404 = stanza({ state: 'Deleted', error: GONE });
  const byDigest = { ...seen(DIGEST), by: 'digest' } as const;
  it.each<
    [string, UpstreamStanza | undefined, Exclude<CheckResult, { kind: 'undecided' }>, string, string | undefined]
  >([
    [
      'what a tag names is not there',
      stanza({}),
      { ...failed('not-found'), digest: DIGEST },
      'Deleted',
      'KUIK-REG-406',
    ],
    ['the tag goes on naming it', lied, seen(DIGEST), 'Deleted', 'KUIK-REG-406'],
    ['it is there again', lied, byDigest, 'Available', undefined],
    ['the tag names something else', lied, seen(OTHER), 'Moved', undefined],
    ['the tag is there again', gone404, seen(DIGEST), 'Available', undefined],
    [
      'the digest of a moved tag is there',
      stanza({ state: 'Moved', digest: OTHER }),
      { ...byDigest, digest: OTHER },
      'Moved',
      undefined,
    ],
    [
      'the registry is back, asked by digest',
      stanza({ state: 'Unreachable', error: GONE }),
      byDigest,
      'Available',
      undefined,
    ],
    [
      'it is there, and nothing is left of the quota',
      undefined,
      { ...seen(DIGEST), exhausted: true },
      'RateLimited',
      'KUIK-REG-429',
    ],
  ])('%s: %#', (_, before, result, state, code) => {
    const image = before === undefined ? imageOf() : withUpstream(before);
    const judgement = judge(image, result, NOW);
    expect([judgement.state, judgement.stanza.state, judgement.stanza.error?.code]).toEqual([state, state, code]);
    expect(judgement.host).toEqual({ do: 'go-on' });
  });

  it.each<RegistryErrorCode>(['not-found', 'unauthorized', 'forbidden', 'server-error'])(
    'believes no %s of a registry that says that nothing is left of the quota',
    (code) => {
      const image = withUpstream(stanza({ lastSeen: at(-99) }));
      const { state, stanza: made, host } = judge(image, { ...failed(code), digest: DIGEST, exhausted: true }, NOW);
      expect([state, host]).toEqual(['RateLimited', { do: 'go-on' }]);
      expect(made).toMatchObject({ digest: DIGEST, lastSeen: at(-99), error: { code: 'KUIK-REG-429' } });
      expect(made.error?.message).toContain('nothing is left of the quota (it said so)');
      expect(made.error).not.toHaveProperty('retryAt');
    },
  );

  it('knows since when an image is gone, whatever comes of asking, until it is seen again', () => {
    const deleted = judge(imageOf(), failed('not-found'), NOW).stanza;
    expect(deleted.goneSince).toBe(at(0));
    for (const code of ['not-found', 'timeout', 'rate-limited', 'server-error', 'unauthorized'] as const) {
      expect(judge(withUpstream(deleted), failed(code), NOW + 60_000).stanza.goneSince).toBe(at(0));
    }
    expect(judge(withUpstream(deleted), seen(DIGEST), NOW).stanza).not.toHaveProperty('goneSince');
    expect(judge(imageOf(), failed('timeout'), NOW).stanza).not.toHaveProperty('goneSince');
  });

  it('reads since when it is gone from what a former version wrote', () => {
    const formerly = withUpstream(stanza({ state: 'Deleted', error: GONE }));
    for (const code of ['not-found', 'rate-limited', 'timeout'] as const) {
      expect(judge(formerly, failed(code), NOW)).toMatchObject({ stanza: { goneSince: at(-60) }, record: true });
    }
  });

  it.each(['copiedAt', 'askedAt'] as const)('begins anew when a copy got it in between (%s)', (when) => {
    const cache = { forUid: uid, digest: DIGEST, copiedAt: at(-99), [when]: at(-30) };
    const upstream = stanza({ state: 'Deleted', goneSince: at(-60), error: GONE });
    const image = imageOf({ status: { cache, upstream } });
    expect(judge(image, failed('not-found'), NOW)).toMatchObject({ stanza: { goneSince: at(0) }, record: true });
    expect(judge(image, failed('rate-limited'), NOW).stanza).not.toHaveProperty('goneSince');
  });

  it('says which digest a tag names in vain', () => {
    const { error } = judge(imageOf(), { ...failed('not-found'), digest: OTHER }, NOW).stanza;
    expect(error?.message).toContain(`the tag names ${OTHER}, which the registry does not have`);
  });

  const gone = { code: 'KUIK-REG-404', message: 'x', at: at(-60) };
  it.each<[string, UpstreamStanza | undefined, Exclude<CheckResult, { kind: 'undecided' }>, boolean]>([
    ['the first check', undefined, seen(DIGEST), true],
    ['the same an hour later', stanza({ lastSeen: at(-60) }), seen(DIGEST), false],
    ['the same a day later', stanza({ lastSeen: at(-24 * 60) }), seen(DIGEST), true],
    ['a move', stanza({ lastSeen: at(-60) }), seen(OTHER), true],
    ['the same move', stanza({ lastSeen: at(-60), state: 'Moved', digest: OTHER }), seen(OTHER), false],
    [
      'a second move',
      stanza({ lastSeen: at(-60), state: 'Moved', digest: `sha256:${'c'.repeat(64)}` }),
      seen(OTHER),
      true,
    ],
    ['a deletion', stanza({ lastSeen: at(-60) }), failed('not-found'), true],
    ['the same deletion', stanza({ state: 'Deleted', goneSince: at(-60), error: gone }), failed('not-found'), false],
    [
      'the same deletion a day later',
      stanza({ state: 'Deleted', goneSince: at(-1440), error: { ...gone, at: at(-1440) } }),
      failed('not-found'),
      true,
    ],
    ['back again', stanza({ state: 'Deleted', error: gone }), seen(DIGEST), true],
    [
      '401 after 403',
      stanza({ state: 'Unauthorized', error: { ...gone, code: 'KUIK-REG-403' } }),
      failed('unauthorized'),
      true,
    ],
    ['what a former object saw', { ...stanza({ lastSeen: at(-1) }), forUid: 'x' }, seen(DIGEST), true],
  ])('records %s: %s', (_, before, result, record) => {
    const image = before === undefined ? imageOf() : withUpstream(before);
    expect(judge(image, result, NOW).record).toBe(record);
  });
});
