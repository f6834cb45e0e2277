import { describe, expect, it } from '@jest/globals';
import type { ManifestHead, RegistryErrorCode } from '@kuik/registry';
import { UpstreamFailure } from './failure.ts';
import { checkFailureOf, TagChecks } from './tag-checks.ts';

const head = (letter: string): ManifestHead => ({ digest: `sha256:${letter.repeat(64)}`, mediaType: 'x', size: 1 });
const failed = new UpstreamFailure('server-error', 'it answered 502', { credentialUsed: false });

function world() {
  const clock = { now: 0 };
  let asked = 0;
  const checks = new TagChecks({ atMostEveryMs: 5_000, entries: 10, now: () => clock.now });
  const check = (answer: ManifestHead | Error, everyMs = 0, kept?: string): Promise<ManifestHead> =>
    checks.check('h/app:1', kept, everyMs, () => {
      asked += 1;
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    });
  return { clock, checks, check, asked: () => asked };
}

describe('TagChecks', () => {
  it('asks once for all who ask at the same time, and not again for a while', async () => {
    const { clock, checks, check, asked } = world();
    await Promise.all([check(head('a')), check(head('a')), check(head('a'))]);
    clock.now = 4_999;
    expect((await check(head('b'))).digest).toBe(head('a').digest);
    expect([asked(), checks.known('h/app:1', undefined)]).toEqual([1, head('a').digest]);
    clock.now = 5_000;
    expect(checks.known('h/app:1', undefined)).toBeUndefined();
    expect((await check(head('b'))).digest).toBe(head('b').digest);
    expect(asked()).toBe(2);
  });

  it('believes an answer for an interval that is longer', async () => {
    const { clock, check, asked } = world();
    await check(head('a'), 60_000);
    clock.now = 59_999;
    await check(head('b'), 60_000);
    expect(asked()).toBe(1);
    clock.now = 60_000;
    await check(head('b'), 60_000);
    expect(asked()).toBe(2);
  });

  it('goes by an answer until the cache took in what it names, and not when that was something else', async () => {
    const [a, b, c] = ['a', 'b', 'c'].map(head) as [ManifestHead, ManifestHead, ManifestHead];
    const { checks, check, asked } = world();
    await check(b, 60_000, a.digest);
    expect(checks.known('h/app:1', a.digest)).toBe(b.digest);
    expect(checks.known('h/app:1', b.digest)).toBe(b.digest);
    expect(checks.known('h/app:1', c.digest)).toBeUndefined();
    expect((await check(c, 60_000, c.digest)).digest).toBe(c.digest);
    expect(asked()).toBe(2);
  });

  it('believes a registry that limits us, for a minute at most', async () => {
    const { clock, check } = world();
    const limited = new UpstreamFailure('rate-limited', '429', { credentialUsed: false, retryAfterMs: 3_600_000 });
    await expect(check(limited)).rejects.toBe(limited);
    clock.now = 59_999;
    await expect(check(head('a'))).rejects.toBe(limited);
    clock.now = 60_000;
    expect((await check(head('a'))).digest).toBe(head('a').digest);
  });

  it('does not ask again at once what failed, and soon enough all the same', async () => {
    const { clock, checks, check, asked } = world();
    await expect(check(failed, 60_000)).rejects.toBe(failed);
    clock.now = 4_999;
    await expect(check(head('a'))).rejects.toBe(failed);
    expect([asked(), checks.known('h/app:1', undefined)]).toEqual([1, undefined]);
    clock.now = 5_000;
    expect((await check(head('a'))).digest).toBe(head('a').digest);
  });

  it('remembers nothing of a question that was broken off', async () => {
    const { check, asked } = world();
    await expect(check(new UpstreamFailure('aborted', 'gone', { credentialUsed: false }))).rejects.toThrow('gone');
    await check(head('a'));
    expect(asked()).toBe(2);
  });
});

describe('checkFailureOf', () => {
  it.each<[RegistryErrorCode, string]>([
    ['refused', 'unreachable'],
    ['dns', 'unreachable'],
    ['tls', 'unreachable'],
    ['truncated', 'unreachable'],
    ['timeout', 'timeout'],
    ['rate-limited', 'rate-limited'],
    ['server-error', 'server-error'],
    ['invalid-response', 'server-error'],
    ['unauthorized', 'refused'],
    ['forbidden', 'refused'],
    ['not-found', 'not-found'],
  ])('calls %s %s', (code, name) => {
    expect(checkFailureOf({ code })).toBe(name);
  });
});
