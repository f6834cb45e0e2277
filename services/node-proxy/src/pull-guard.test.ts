import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import {
  type ACCESS_VERDICT,
  type AccessVerdict,
  type AccessVerdictRequest,
  grantCheckingKey,
  grantSigningKey,
  signPullGrant,
} from '@kuik/contracts';
import { createLogger } from '@kuik/runtime';
import { AccessVerdicts } from './access-verdicts.ts';
import { PullFailure } from './failure.ts';
import { PullGuard } from './pull-guard.ts';
import { parsePull, type Pull } from './pull-path.ts';
import { ShownGrants } from './shown-grant.ts';

const NOW = Date.UTC(2026, 0, 1);
const MINUTE = 60_000;
const pair = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const basic = (user: string, password: string): string =>
  `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
const grantOf = (namespace: string, expiresAtMs = NOW + 60 * MINUTE): string =>
  basic('kuik', signPullGrant(grantSigningKey(pair.privateKey), { namespace, serviceAccount: 'default', expiresAtMs }));
const DIGEST = `sha256:${'a'.repeat(64)}`;
const pull = (target: string): Pull => parsePull('GET', target) as Pull;
const PRIVATE = pull('/v2/r.example.test/secret/manifests/1');
const BLOB = pull(`/v2/r.example.test/secret/blobs/${DIGEST}`);
const TAGS = pull('/v2/r.example.test/secret/tags/list');
const REFERRERS = pull(`/v2/r.example.test/secret/referrers/${DIGEST}`);
const PUBLIC = pull('/v2/r.example.test/open/manifests/1');
const BASE = pull('/v2/');
/** A host that ends in a number, or one at a port as kuik v1 wrote it. */
const TWO_MEANINGS = pull('/v2/registry.example.test-5000/secret/manifests/1');

type Setting = Partial<{ mode: 'warn' | 'enforce'; unknownWhenDown: 'allow' | 'deny'; graceMs: number }>;

/** A broker that serves `open` to anyone, `secret` to namespace a, and knows of nothing else. */
function world({ mode = 'enforce', unknownWhenDown = 'deny', graceMs = 60 * MINUTE }: Setting = {}) {
  const clock = { now: NOW };
  const broker = { away: false, unknown: false, unused: false, asked: [] as AccessVerdictRequest[] };
  const judge = ({ repository, host, who }: AccessVerdictRequest): AccessVerdict => {
    const say = (verdict: AccessVerdict['verdict'], reason: string, isPublic = false): AccessVerdict => ({
      verdict,
      reason,
      public: isPublic,
      until: clock.now + 10 * MINUTE,
    });
    if (who === 'host') {
      const known = ['r.example.test', 'registry.example.test:5000'].includes(host) && !broker.unused;
      return known ? say('allowed', 'HostUsed') : say('denied', 'HostNotUsed');
    }
    if (broker.unknown) return say('unknown', 'UpstreamDown');
    if (repository === 'open') return say('allowed', 'Public', true);
    if (host === 'registry.example.test-5000') return say('denied', 'NotUsed');
    if (repository !== 'secret') return say('denied', 'NotUsed');
    if (typeof who === 'object' && who.namespace === 'a') return say('allowed', 'CredentialProven');
    return say('denied', who === 'anyone' ? 'NoGrant' : 'CredentialRefused');
  };
  const bus = {
    request: (_subject: typeof ACCESS_VERDICT, request: AccessVerdictRequest) => {
      broker.asked.push(request);
      return broker.away ? Promise.reject(new Error('no responders')) : Promise.resolve(judge(request));
    },
  };
  const lines: { message: string; reason: string; who: string }[] = [];
  const counted: string[] = [];
  const now = () => clock.now;
  const guard = new PullGuard({
    mode,
    unknownWhenDown,
    grants: new ShownGrants(grantCheckingKey(pair.publicKey)),
    verdicts: new AccessVerdicts({
      bus: bus as never,
      readToken: () => Promise.resolve('token'),
      timeoutMs: 10,
      graceMs,
      now,
    }),
    count: (decision, reason) => counted.push(`${decision} ${reason}`),
    log: createLogger({ service: 'node-proxy', level: 'info', write: (line) => lines.push(JSON.parse(line) as never) }),
    now,
  });
  const check = async (asked: Pull, authorization?: string): Promise<string> => {
    try {
      const from = await guard.check(asked, authorization, 'id');
      return from === undefined ? 'served' : from.map(({ host, path }) => `${host}/${path}`).join(' ');
    } catch (error) {
      if (error instanceof PullFailure) return error.failure;
      throw error;
    }
  };
  return { clock, broker, guard, check, lines, counted };
}

describe('PullGuard in mode enforce', () => {
  it.each<[string, Pull, string | undefined, string]>([
    ['a public image, to anyone', PUBLIC, undefined, 'served'],
    ['a private one, to whom it may be', PRIVATE, grantOf('a'), 'served'],
    ['its blobs as well', BLOB, grantOf('a'), 'served'],
    ['a private one, to another', PRIVATE, grantOf('b'), 'accessDenied'],
    ['a blob by its digest, to another', BLOB, grantOf('b'), 'accessDenied'],
    ['its referrers, to another', REFERRERS, grantOf('b'), 'accessDenied'],
    ['its tags, to another', TAGS, grantOf('b'), 'accessDenied'],
    ['a private one, to nobody named', PRIVATE, undefined, 'grantNeeded'],
    ['a blob, to nobody named', BLOB, undefined, 'grantNeeded'],
    ['an expired grant', PRIVATE, grantOf('a', NOW - MINUTE), 'grantNeeded'],
    ['a password that is no grant', PRIVATE, basic('kuik', 'hunter2'), 'grantNeeded'],
    ['a grant of another user', PRIVATE, grantOf('a').replace('Basic ', 'Bearer '), 'grantNeeded'],
    ['an empty password', PRIVATE, basic('', ''), 'grantNeeded'],
    ['what nobody uses', pull('/v2/other.example.test/x/manifests/1'), grantOf('a'), 'accessDenied'],
    ['what nobody uses, asked for by nobody', pull('/v2/169.254.169.254/x/manifests/1'), undefined, 'accessDenied'],
    ['the base, with nothing', BASE, undefined, 'grantNeeded'],
    ['the base, with an empty password', BASE, basic('', ''), 'served'],
    ['the base, with a grant', BASE, grantOf('b'), 'served'],
    ['the base, with a bad one', BASE, basic('kuik', 'hunter2'), 'grantNeeded'],
  ])('%s', async (_what, asked, authorization, expected) => {
    expect(await world().check(asked, authorization)).toBe(expected);
  });

  it('serves the meaning of a name that was allowed, and no other', async () => {
    const { check, broker } = world();
    // What was decided, and what is remembered of it.
    for (let round = 0; round < 2; round += 1)
      expect(await check(TWO_MEANINGS, grantOf('a'))).toBe('registry.example.test:5000/secret');
    expect(broker.asked.map(({ host }) => host)).toEqual(['registry.example.test-5000', 'registry.example.test:5000']);
    expect(await check(TWO_MEANINGS, grantOf('b'))).toBe('accessDenied');
  });

  it('answers at once what is known, without asking again', async () => {
    const { check, guard, broker, clock } = world();
    await Promise.all([check(PRIVATE, grantOf('a')), check(PUBLIC), check(BLOB, grantOf('a'))]);
    expect(broker.asked).toHaveLength(2);
    expect(guard.check(BLOB, grantOf('a'), 'id')).toBeUndefined();
    expect(guard.check(PUBLIC, undefined, 'id')).toBeUndefined();
    expect([guard.passes(PUBLIC as never), guard.passes(PRIVATE as never)]).toEqual([true, false]);
    clock.now += 11 * MINUTE;
    expect(guard.passes(PUBLIC as never)).toBe(false);
    await check(PUBLIC);
    expect(broker.asked).toHaveLength(3);
  });

  it('writes one line per decision, which names who and why, and no secret', async () => {
    const { check, lines, counted } = world();
    await check(PRIVATE, grantOf('a'));
    await check(PRIVATE, grantOf('a'));
    await check(PRIVATE, grantOf('b'));
    await check(PRIVATE);
    expect(lines.map(({ message, who, reason }) => [message, who, reason])).toEqual([
      ['access allowed', 'a/default', 'CredentialProven'],
      ['access denied', 'b/default', 'CredentialRefused'],
      ['access needs a grant', 'anyone', 'NoGrant'],
    ]);
    expect(counted).toEqual(['allowed CredentialProven', 'denied CredentialRefused', 'challenged NoGrant']);
    expect(JSON.stringify(lines)).not.toContain(grantOf('a').slice(30, 80));
  });

  it('goes on with what was allowed while the broker is away, for the grace', async () => {
    const { check, broker, clock } = world({ graceMs: 60 * MINUTE });
    await check(PRIVATE, grantOf('a', NOW + 300 * MINUTE));
    broker.away = true;
    clock.now += 30 * MINUTE;
    expect(await check(PRIVATE, grantOf('a', NOW + 300 * MINUTE))).toBe('served');
    expect(await check(PRIVATE, grantOf('b', NOW + 300 * MINUTE))).toBe('accessUnknown');
    clock.now += 60 * MINUTE;
    expect(await check(PRIVATE, grantOf('a', NOW + 300 * MINUTE))).toBe('accessUnknown');
  });

  it('does what the setting says with the unknown, and spares a silent broker for a moment', async () => {
    const strict = world();
    strict.broker.away = true;
    expect(await strict.check(PRIVATE, grantOf('a'))).toBe('accessUnknown');
    expect(await strict.check(PUBLIC)).toBe('grantNeeded');
    expect(strict.broker.asked).toHaveLength(1);
    const open = world({ unknownWhenDown: 'allow' });
    open.broker.unknown = true;
    expect(await open.check(PRIVATE)).toBe('served');
  });
});

describe('PullGuard in mode warn', () => {
  it('serves everybody at once, and tells behind the answer whom it would have refused', async () => {
    const { check, guard, lines, broker } = world({ mode: 'warn' });
    await check(pull('/v2/r.example.test/other/manifests/1'));
    await new Promise(setImmediate);
    lines.length = 0;
    for (const [asked, shown] of [
      [PRIVATE, grantOf('b')],
      [PRIVATE, undefined],
      [BASE, undefined],
      [PUBLIC, undefined],
    ] as const)
      expect(guard.check(asked, shown, 'id')).toBeUndefined();
    await new Promise(setImmediate);
    expect(lines.map(({ message, reason }) => `${message}: ${reason}`)).toEqual([
      'access would be denied: CredentialRefused',
      'access would be denied: CredentialRefused',
      'access allowed: Public',
    ]);
    expect(broker.asked.map(({ who }) => who)).toContain('node');
    expect(guard.passes(PRIVATE as never)).toBe(true);
    await check(PRIVATE);
    expect(lines).toHaveLength(3);
  });

  it('serves while the broker is away', async () => {
    const { check, broker } = world({ mode: 'warn' });
    broker.away = true;
    expect(await check(PRIVATE)).toBe('served');
  });

  it('refuses registries of which nobody uses anything, and says so', async () => {
    const { check, guard, broker, counted, lines } = world({ mode: 'warn' });
    const stranger = pull('/v2/evil.example.test/x/manifests/1');
    // What was decided, and what is remembered of it.
    for (let round = 0; round < 2; round += 1) expect(await check(stranger)).toBe('hostNotUsed');
    expect(guard.passes(stranger as never)).toBe(false);
    expect(counted).toEqual(['denied HostNotUsed', 'denied HostNotUsed']);
    expect(lines[0]).toMatchObject({ message: 'access denied', reason: 'HostNotUsed', name: 'evil.example.test/x' });
    expect(broker.asked.map(({ who }) => who)).toEqual(['host']);
    expect(await check(TWO_MEANINGS)).toBe('registry.example.test:5000/secret');
  });

  it.each([
    ['an image that anyone may pull', 'open', undefined],
    ['one that whoever asks may pull', 'secret', grantOf('a')],
  ])('serves no other meaning of the name of %s later, either', async (_what, path, shown) => {
    const { check, guard, counted } = world({ mode: 'warn' });
    const asked = pull(`/v2/registry.example.test-5000/${path}/manifests/1`);
    expect(await check(asked, shown)).toBe(`registry.example.test:5000/${path}`);
    await new Promise(setImmediate);
    expect(counted).toEqual([shown === undefined ? 'allowed Public' : 'allowed CredentialProven']);
    expect(await check(asked, shown)).toBe(`registry.example.test:5000/${path}`);
    expect(guard.passes(asked as never)).toBe(false);
  });

  it('waits for the word on a registry once, and looks behind the answer whether it still holds', async () => {
    const { check, guard, broker, clock } = world({ mode: 'warn' });
    await Promise.all([check(PRIVATE), check(PUBLIC), check(BLOB)]);
    expect(broker.asked.filter(({ who }) => who === 'host')).toHaveLength(1);
    expect(guard.check(pull('/v2/r.example.test/third/manifests/1'), undefined, 'id')).toBeUndefined();

    clock.now += 11 * MINUTE;
    broker.unused = true;
    expect(await check(PRIVATE)).toBe('served');
    await new Promise(setImmediate);
    clock.now += 2 * MINUTE;
    expect(await check(PRIVATE)).toBe('hostNotUsed');
    broker.away = true;
    clock.now += 11 * MINUTE;
    expect(await check(PRIVATE)).toBe('served');
  });
});

it('costs less than 2 µs for what is known', async () => {
  const { check, guard } = world();
  await check(PUBLIC);
  const rounds = 20_000;
  for (let round = 0; round < rounds; round += 1) void guard.check(PUBLIC, undefined, 'id');
  const best = Math.min(
    ...Array.from({ length: 10 }, () => {
      const began = performance.now();
      for (let round = 0; round < rounds; round += 1) void guard.check(PUBLIC, undefined, 'id');
      return performance.now() - began;
    }),
  );
  expect((best / rounds) * 1000).toBeLessThan(2);
});
