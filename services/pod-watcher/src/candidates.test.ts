import { describe, expect, it } from '@jest/globals';
import { type Candidates, candidatesOf } from './candidates.ts';
import { EcrProvider } from './providers/ecr.ts';
import type { ReadSecret } from './secret-reader.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');
const login = (name: string) => ({ auth: base64(`${name}:password`) });
let secrets = 0;
const secret = (type: string, data: Record<string, string>): ReadSecret => {
  const name = `s${(secrets += 1)}`;
  const metadata = { name, uid: name, resourceVersion: '1' };
  return { source: { namespace: 'shop', name }, secret: { metadata, type: `kubernetes.io/${type}`, data } };
};
const json = (config: object | string): ReadSecret =>
  secret('dockerconfigjson', {
    '.dockerconfigjson': base64(typeof config === 'string' ? config : JSON.stringify(config)),
  });
const legacy = (config: object): ReadSecret => secret('dockercfg', { '.dockercfg': base64(JSON.stringify(config)) });

const HUB = { 'https://index.docker.io/v1/': login('hub') };
const LOCAL = { 'localhost:5000': login('local') };
const ALPINE = { host: 'docker.io', repository: 'library/alpine' };
const LOCAL_ALPINE = { host: 'localhost:5000', repository: 'alpine' };

function told({ candidates, mistakes }: Candidates): object {
  return {
    logins: candidates.map(({ credential }) => (credential.kind === 'basic' ? credential.username : credential.kind)),
    mistakes: mistakes.map(({ mistake }) => mistake.replace(/ (?:is not|has neither) .*/, '')),
  };
}

/** What v1 found for a pull, now without its failing a whole pull for one secret. */
describe("kuik v1's vectors of pull secrets", () => {
  it.each<[string, ReadSecret[], typeof ALPINE, string[], string[]]>([
    ['two registries in one secret, the one', [json({ auths: { ...HUB, ...LOCAL } })], ALPINE, ['hub'], []],
    ['two registries in one secret, the other', [json({ auths: { ...HUB, ...LOCAL } })], LOCAL_ALPINE, ['local'], []],
    ['a secret for each, the one', [json({ auths: LOCAL }), json({ auths: HUB })], ALPINE, ['hub'], []],
    ['a secret for each, the other', [json({ auths: HUB }), json({ auths: LOCAL })], LOCAL_ALPINE, ['local'], []],
    [
      'a dockercfg with name and password',
      [legacy({ 'https://index.docker.io/v1/': { username: 'old', password: 'x' } })],
      ALPINE,
      ['old'],
      [],
    ],
    ['a missing key', [secret('dockerconfigjson', {})], ALPINE, [], ['has no key .dockerconfigjson']],
    ['another type', [secret('basic-auth', { username: base64('u'), password: base64('p') })], ALPINE, [], []],
    ['nothing, three times', [json({}), json({}), json({})], ALPINE, [], []],
    ['no secret', [], ALPINE, [], []],
    [
      'what is no JSON, beside one that is',
      [json('invalid'), json({ auths: HUB })],
      ALPINE,
      ['hub'],
      ['its .dockerconfigjson'],
    ],
    [
      'an unreadable auth, beside one that is readable',
      [json({ auths: { 'index.docker.io': { auth: '00000000' } } }), json({ auths: HUB })],
      ALPINE,
      ['hub'],
      ['its entry for docker.io'],
    ],
  ])('%s', (_name, given, wanted, logins, mistakes) => {
    expect(told(candidatesOf(given, wanted, 0))).toEqual({ logins, mistakes });
  });

  it('an image of ECR is one for its provider', () => {
    const provider = new EcrProvider({ now: () => 0 });
    expect(provider.covers('000000000000.dkr.ecr.eu-west-1.amazonaws.com')).toBe(true);
    expect(provider.covers('docker.io')).toBe(false);
  });
});

it('sorts the entries of all secrets by what they cover, and has each login of a secret once', () => {
  const given = [
    json({ auths: { '*.example.test': login('glob') } }),
    json({ auths: { 'r.example.test': login('host'), 'https://r.example.test': login('host') } }),
    json({ auths: { 'r.example.test/team/': login('team') } }),
  ];
  const { candidates } = candidatesOf(given, { host: 'r.example.test', repository: 'team/app' }, 0);
  expect(told({ candidates, mistakes: [] })).toMatchObject({ logins: ['team', 'host', 'glob'] });
});
