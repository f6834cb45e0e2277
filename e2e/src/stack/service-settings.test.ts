import { describe, expect, it } from '@jest/globals';
import { filled, settingsOf } from './service-settings.ts';

const FACTS = {
  registries: { a: {} },
  proxyPrefix: 'localhost:1',
  proxyPort: 1,
  admissionPort: 2,
  rulesFile: '/r.yaml',
};

describe('filled', () => {
  it.each<[unknown, unknown]>([
    ['${proxyPort}', 1],
    ['127.0.0.1:${proxyPort}', '127.0.0.1:1'],
    ['${proxyPort} and ${admissionPort}', '1 and 2'],
    [{ all: ['${registries}'] }, { all: [{ a: {} }] }],
    [{ a: { b: 5, c: true, d: null } }, { a: { b: 5, c: true, d: null } }],
    ['$proxyPort', '$proxyPort'],
  ])('%j is %j', (written, value) => expect(filled(written, FACTS)).toEqual(value));

  it('names what is not known, and what is', () =>
    expect(() => filled({ a: ['x${proxyport}'] }, FACTS)).toThrow(
      '${proxyport} is not known in the local stack; there are',
    ));
});

describe('settingsOf', () => {
  const identity = {
    folder: '/f',
    nats: { url: 'nats://n', nkeyFile: '/f/nkey' },
    redis: { url: 'redis://r', username: 'u', passwordFile: '/f/p' },
  };
  const common = { http: { host: '127.0.0.1', port: 9 }, nats: identity.nats };

  it('gives every service where it answers and its NATS user, and nothing that it did not declare', () =>
    expect(settingsOf({ needs: [], local: { replicas: 1, settings: {} } }, identity, 'x', 9, FACTS)).toEqual(common));

  it('gives what was declared; what is its own wins', () => {
    const local = { replicas: 1, settings: { proxyPrefixes: ['own'], at: '${proxyPrefix}' } };
    const settings = settingsOf(
      { needs: ['redis', 'lease', 'proxyPrefixes', 'rules'], local },
      identity,
      'x-2',
      9,
      FACTS,
    );
    expect(settings).toMatchObject({ ...common, redis: identity.redis, proxyPrefixes: ['own'], at: 'localhost:1' });
    expect(settings).toMatchObject({ rulesFile: FACTS.rulesFile });
    expect(settings['lease']).toMatchObject({ identity: 'x-2', namespace: 'kuik-system' });
  });
});
