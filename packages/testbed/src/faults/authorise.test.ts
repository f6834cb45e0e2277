import { describe, expect, it } from '@jest/globals';
import { actionsFor, basicUser, mayAccess, parseScope, type AuthPolicy } from './access.ts';
import { answerTokenRequest, challengeFor, renderChallenge } from './authorise.ts';
import type { RequestFacts } from './decide.ts';
import { Tokens } from './tokens.ts';

const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
const USERS = [
  { username: 'ann', password: 'a:b', repositories: ['team-a/*'], identityToken: 'refresh-ann' },
  { username: 'bob', password: 'b', actions: ['pull'] },
];
const BASIC: AuthPolicy = { scheme: 'basic', users: USERS, anonymous: ['public/*'] };
const BEARER: AuthPolicy = { ...BASIC, scheme: 'bearer', tokenSeconds: 60 };
const get = (repository?: string, method = 'GET'): RequestFacts => ({
  host: 'h.test',
  kind: repository === undefined ? 'ping' : 'blob',
  method,
  repository,
});

describe('access', () => {
  it.each([
    ['ann', 'team-a/app', ['pull'], true],
    ['ann', 'team-b/app', ['pull'], false],
    ['ann', 'team-a/app', ['pull', 'push'], true],
    ['ann', 'team-a/app', ['delete'], false],
    ['bob', 'team-a/app', ['pull'], true],
    ['bob', 'team-a/app', ['push'], false],
    [undefined, 'public/app', ['pull'], true],
    [undefined, 'public/app', ['push'], false],
    [undefined, 'team-a/app', ['pull'], false],
    ['ann', 'public/app', ['pull'], true],
  ])('%s, %s, %j: %p', (username, repository, actions, expected) => {
    const user = USERS.find((known) => known.username === username);
    expect(mayAccess(BASIC, user, { repository, actions })).toBe(expected);
  });

  it.each([
    ['GET', ['pull']],
    ['HEAD', ['pull']],
    ['DELETE', ['delete']],
    ['PUT', ['pull', 'push']],
  ])('%s needs %j', (method, actions) => {
    expect(actionsFor(method)).toEqual(actions);
  });

  it.each([
    ['repository:a/b:pull,push', { repository: 'a/b', actions: ['pull', 'push'] }],
    ['repository:h:5000/a:pull', { repository: 'h:5000/a', actions: ['pull'] }],
    ['repository(plugin):a:pull', { repository: 'a', actions: ['pull'] }],
    ['registry:catalog:*', undefined],
  ])('scope %s', (scope, expected) => {
    expect(parseScope(scope)).toEqual(expected);
  });

  it('reads Basic headers, passwords with colons included', () => {
    expect(basicUser(BASIC, basic('ann', 'a:b'))).toBe(USERS[0]);
    expect([basicUser(BASIC, basic('ann', 'x')), basicUser(BASIC, undefined), basicUser(BASIC, 'Bearer x')]).toEqual([
      'wrong',
      'none',
      'none',
    ]);
  });
});

describe('Basic', () => {
  it.each([
    ['nobody at a private repository', get('team-a/x'), undefined, false],
    ['nobody at a public repository', get('public/x'), undefined, true],
    ['nobody at /v2/', get(), undefined, false],
    ['a user at /v2/', get(), basic('bob', 'b'), true],
    ['a user at what is his', get('team-a/x'), basic('ann', 'a:b'), true],
    ['a user at what is not', get('team-b/x'), basic('ann', 'a:b'), false],
    ['a wrong password, even at a public repository', get('public/x'), basic('ann', 'no'), false],
  ])('%s', (_, request, authorization, open) => {
    expect(challengeFor(BASIC, new Tokens(() => 0), request, authorization) === undefined).toBe(open);
  });

  it('no policy, no challenge', () => {
    expect(challengeFor(undefined, new Tokens(() => 0), get('x'), undefined)).toBeUndefined();
  });
});

describe('Bearer', () => {
  let now = 1_000_000;
  const tokens = new Tokens(() => now);
  const ask = (query: string, authorization?: string, policy: AuthPolicy | undefined = BEARER) =>
    answerTokenRequest('h.test', policy, tokens, { parameters: new URLSearchParams(query), authorization }, now);
  const tokenFor = (query: string, authorization?: string): string =>
    `Bearer ${ask(query, authorization).body['token'] as string}`;

  it('challenges with the scope that is needed', () => {
    const challenge = challengeFor(BEARER, tokens, get('team-a/x', 'PUT'), undefined)!;
    expect(renderChallenge(challenge, 'h.test', 'https://auth.test/token')).toBe(
      'Bearer realm="https://auth.test/token",service="h.test",scope="repository:team-a/x:pull,push"',
    );
  });

  it('a token opens its repository, and no other', () => {
    const token = tokenFor('scope=repository:team-a/x:pull', basic('ann', 'a:b'));
    expect(challengeFor(BEARER, tokens, get('team-a/x'), token)).toBeUndefined();
    expect(challengeFor(BEARER, tokens, get(), token)).toBeUndefined();
    expect(challengeFor(BEARER, tokens, get('team-a/y'), token)).toMatchObject({ error: 'insufficient_scope' });
    expect(challengeFor(BEARER, tokens, get('team-a/x', 'PUT'), token)).toMatchObject({ error: 'insufficient_scope' });
    expect(challengeFor(BEARER, tokens, { ...get('team-a/x'), host: 'other.test' }, token)).toMatchObject({
      error: 'invalid_token',
    });
  });

  it('a token for several scopes, in one parameter or in several', () => {
    for (const query of [
      'scope=repository:team-a/x:pull&scope=repository:public/y:pull',
      'scope=repository:team-a/x:pull repository:public/y:pull',
    ]) {
      const token = tokenFor(query, basic('ann', 'a:b'));
      expect([get('team-a/x'), get('public/y')].map((request) => challengeFor(BEARER, tokens, request, token))).toEqual(
        [undefined, undefined],
      );
    }
  });

  it('a token ends at its second, and when revoked', () => {
    const token = tokenFor('scope=repository:public/x:pull');
    now += 59_999;
    expect(challengeFor(BEARER, tokens, get('public/x'), token)).toBeUndefined();
    now += 1;
    expect(challengeFor(BEARER, tokens, get('public/x'), token)).toMatchObject({ error: 'invalid_token' });
    const second = tokenFor('scope=repository:public/x:pull');
    tokens.revoke('elsewhere.test');
    expect(challengeFor(BEARER, tokens, get('public/x'), second)).toBeUndefined();
    tokens.revoke('h.test');
    expect(challengeFor(BEARER, tokens, get('public/x'), second)).toMatchObject({ error: 'invalid_token' });
  });

  it.each([
    ['a wrong password', 'scope=repository:public/x:pull', basic('ann', 'no'), BEARER, 401],
    ['a wrong refresh token', 'grant_type=refresh_token&refresh_token=x', undefined, BEARER, 401],
    ['a wrong posted password', 'grant_type=password&username=ann&password=no', undefined, BEARER, 401],
    ['too much, answered with an empty token', 'scope=repository:team-a/x:pull', undefined, BEARER, 200],
    [
      'too much, refused',
      'scope=repository:team-a/x:pull',
      undefined,
      { ...BEARER, refuse: 'forbidden' as const },
      403,
    ],
    ['a host without tokens', '', undefined, BASIC, 404],
  ])('%s', (_, query, authorization, policy, status) => {
    expect(ask(query, authorization, policy).status).toBe(status);
  });

  it.each(['grant_type=password&username=ann&password=a:b', 'grant_type=refresh_token&refresh_token=refresh-ann'])(
    '%s gives a token',
    (form) => {
      const token = tokenFor(`${form}&scope=repository:team-a/x:pull`);
      expect(challengeFor(BEARER, tokens, get('team-a/x'), token)).toBeUndefined();
    },
  );

  it('an empty token opens nothing', () => {
    const token = tokenFor('scope=repository:team-a/x:pull');
    expect(challengeFor(BEARER, tokens, get('team-a/x'), token)).toMatchObject({ error: 'insufficient_scope' });
  });

  it('says how long it lives', () => {
    expect(ask('').body).toMatchObject({ expires_in: 60, issued_at: new Date(now).toISOString() });
  });
});
