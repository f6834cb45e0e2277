import { describe, expect, it, jest } from '@jest/globals';
import type { HttpClient, HttpRequest } from './http-client.ts';
import { TokenServers } from './token-servers.ts';

const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
const COPY = { background: new AbortController().signal };

/** Token servers that answer when they are told to, `200` unless told otherwise. */
function world(turnMs?: number) {
  const asked: { scope: string; host: string; answer: (status?: number, retryAfter?: string) => void }[] = [];
  const clock = { now: 1_000_000 };
  const http = {
    request: ({ url }: HttpRequest) =>
      new Promise((resolve) => {
        const answer = (status = 200, retryAfter?: string): void => {
          asked.splice(asked.indexOf(question), 1);
          resolve({
            status,
            header: (name: string) => (name === 'retry-after' ? retryAfter : undefined),
            read: () => Promise.resolve(Buffer.from('{"token":"t"}')),
            discard: () => undefined,
          });
        };
        const question = { scope: url.searchParams.get('scope')!, host: url.host, answer };
        asked.push(question);
      }),
  } as unknown as HttpClient;
  const servers = new TokenServers(http, () => clock.now, turnMs);
  const ask = (scope: string, haste = {}, host = 'auth.test') =>
    servers
      .ask({ realm: new URL(`https://${host}/token`), service: undefined, scopes: [scope] }, haste)
      .then(({ token }) => token);
  const many = (count: number, of: string, haste = {}) =>
    Array.from({ length: count }, (_, at) => ask(`${of}${at}`, haste));
  return { asked, clock, ask, many, scopes: () => asked.map(({ scope }) => scope) };
}

describe('a token server', () => {
  it('is asked a few questions at once, fewer for what no pull waits for, and pulls go first', async () => {
    const { asked, many, ask, scopes } = world();
    const all = [...many(50, 'copy', COPY), ...many(14, 'pull')];
    const named = (of: string, from: number, to: number): string[] =>
      Array.from({ length: to - from + 1 }, (_, at) => `${of}${from + at}`);
    await settled();
    expect(scopes()).toEqual([...named('copy', 0, 3), ...named('pull', 0, 11)]);
    const elsewhere = ask('other', COPY, 'other.test');
    await settled();
    expect(scopes().at(-1)).toBe('other');
    asked.at(-1)!.answer();
    await elsewhere;
    asked[0]!.answer();
    await settled();
    expect(scopes()).toEqual([...named('copy', 1, 3), ...named('pull', 0, 12)]);
    for (const { answer } of asked.slice(3)) answer();
    await settled();
    expect(scopes()).toEqual([...named('copy', 1, 3), 'pull13', 'copy4']);
    let most = 0;
    while (asked.length > 0) {
      most = Math.max(most, asked.length);
      asked[0]!.answer();
      await settled();
    }
    expect(most).toBe(5);
    expect(new Set(await Promise.all(all))).toEqual(new Set(['t']));
  });

  it('is asked sooner for what a pull came to wait for meanwhile', async () => {
    const { asked, ask, many, scopes } = world();
    const others = many(8, 'copy', COPY);
    const alone = new AbortController();
    const hurried = ask('hurried', { background: alone.signal });
    await settled();
    expect(scopes()).toEqual(['copy0', 'copy1', 'copy2', 'copy3']);
    alone.abort();
    await settled();
    // It takes no turn of theirs, and waits for none of them.
    expect(scopes()).toEqual(['copy0', 'copy1', 'copy2', 'copy3', 'hurried']);
    asked[4]!.answer();
    await settled();
    expect(scopes()).toEqual(['copy0', 'copy1', 'copy2', 'copy3']);
    while (asked.length > 0) {
      asked[0]!.answer();
      await settled();
    }
    await Promise.all([...others, hurried]);
  });

  it('gives a pull that came later its own time to wait for a turn', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    try {
      const { asked, ask, many, scopes } = world(1_000);
      const others = many(16, 'pull');
      const alone = new AbortController();
      const hurried = ask('hurried', { background: alone.signal });
      await settled();
      jest.advanceTimersByTime(900);
      alone.abort();
      jest.advanceTimersByTime(900);
      asked[0]!.answer();
      await settled();
      expect(scopes()).toContain('hurried');
      for (const { answer } of [...asked]) answer();
      await Promise.all([...others, hurried]);
    } finally {
      jest.useRealTimers();
    }
  });

  it.each([
    ['says for how long', 429, '120', 120_000],
    ['does not say for how long', 429, undefined, 60_000],
    ['names a day', 429, '86400', 3_600_000],
    ['fails, and says when', 503, '7200', 60_000],
  ])('that limits us and %s is asked for pulls alone until then', async (_what, status, retryAfter, ms) => {
    const { asked, clock, ask, many, scopes } = world();
    const copies = many(6, 'copy', COPY).map((one) => one.catch((error: unknown) => error));
    await settled();
    asked[0]!.answer(status, retryAfter);
    await settled();
    const late = { code: 'rate-limited', status: 429, retryAfterMs: ms };
    expect(await Promise.all([copies[4], copies[5]])).toMatchObject([late, late]);
    expect(scopes()).toEqual(['copy1', 'copy2', 'copy3']);
    clock.now += 1_000;
    await expect(ask('check', COPY)).rejects.toMatchObject({ code: 'rate-limited', retryAfterMs: ms - 1_000 });
    const pull = ask('pull');
    await settled();
    expect(scopes().at(-1)).toBe('pull');
    clock.now += ms - 1_000;
    const again = ask('copy', COPY);
    await settled();
    for (const { answer } of [...asked]) answer();
    await settled();
    for (const { answer } of [...asked]) answer();
    expect([await pull, await again]).toEqual(['t', 't']);
    await Promise.all(copies);
  });

  it('that fails without a word of when is asked on', async () => {
    const { asked, ask, scopes } = world();
    const failing = ask('one', COPY).catch((error: unknown) => error);
    await settled();
    asked[0]!.answer(503);
    expect(await failing).toMatchObject({ code: 'server-error' });
    const next = ask('next', COPY);
    await settled();
    expect(scopes()).toEqual(['next']);
    asked[0]!.answer();
    await next;
  });

  it('is not asked for who left before it was his turn, nor for who waited too long', async () => {
    const { asked, ask, many, scopes } = world(50);
    const pulls = many(16, 'pull');
    const gone = new AbortController();
    const left = ask('left', { signal: gone.signal });
    gone.abort();
    await expect(left).rejects.toMatchObject({ code: 'aborted' });
    await expect(ask('left', { signal: gone.signal })).rejects.toMatchObject({ code: 'aborted' });
    await expect(ask('late')).rejects.toMatchObject({ code: 'timeout' });
    for (const { answer } of [...asked]) answer();
    await Promise.all(pulls);
    expect(scopes()).toEqual([]);
  });
});
