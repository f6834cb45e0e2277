import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { credentialsOf, readCacheEndpoint, readRegistrySettings } from './settings.ts';

let folder: string;
const file = (name: string): string => path.join(folder, name);
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kuik-settings-'));
  for (const name of ['key', 'certificate', 'ca', 'login']) writeFileSync(file(name), `PEM of ${name}`);
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('readCacheEndpoint', () => {
  it.each([
    [['pull'], 'kuik-r'],
    [['pull', 'push'], 'kuik-w'],
    [['delete'], 'kuik-w'],
  ] as const)('signs %j as %s', (actions, issuer) => {
    const endpoint = readCacheEndpoint(
      { url: 'http://c', keyFile: file('key'), certificateFile: file('certificate') },
      actions,
    );
    expect(endpoint.signer).toMatchObject({
      issuer,
      audience: 'kuik',
      keyPem: 'PEM of key',
      certificatePem: 'PEM of certificate',
      actions,
    });
  });

  it.each([
    [{ keyFile: '/nowhere/key', certificateFile: '/x' }, 'cache.keyFile: cannot read /nowhere/key: ENOENT'],
    [{ caFile: '/nowhere/ca' }, 'cache.caFile: cannot read /nowhere/ca: ENOENT'],
  ])('names the setting whose file cannot be read: %j', (files, message) => {
    expect(() => readCacheEndpoint({ url: 'http://c', ...files }, ['pull'])).toThrow(
      expect.objectContaining({ message, code: 'KUIK-CFG-001' }),
    );
  });

  it('signs nothing without a key', () => {
    expect(readCacheEndpoint({ url: 'http://c', caFile: file('ca') }, ['pull'])).toEqual({
      url: 'http://c',
      ca: 'PEM of ca',
    });
  });

  it('names what is missing', () => {
    expect(() => readCacheEndpoint({ url: 'http://c', keyFile: file('key') }, ['pull'])).toThrow(
      'cache.certificateFile',
    );
    expect(() =>
      readCacheEndpoint({ url: 'http://c', keyFile: file('gone'), certificateFile: file('certificate') }, ['pull']),
    ).toThrow('gone');
  });
});

describe('readRegistrySettings', () => {
  const addressPolicy = { refuse: [], allow: [] };
  const basic = (login: string) => `Basic ${Buffer.from(login).toString('base64')}`;

  it('reads the files that it names and drops what is not set', () => {
    const settings = readRegistrySettings({
      registries: {
        'a.b': { address: '127.0.0.1:1', caFile: file('ca'), plainHTTP: undefined },
        'c.d': { ca: 'inline', httpProxy: 'none', timeouts: { connect: 100, headers: undefined } },
        'e.f': { httpProxy: { url: 'https://proxy.test:3128/', caFile: file('ca'), credentialsFile: file('login') } },
      },
      httpProxy: { noProxy: [] },
      addressPolicy,
    });
    expect(settings).toEqual({
      registries: {
        'a.b': { address: '127.0.0.1:1', ca: 'PEM of ca' },
        'c.d': { ca: 'inline', httpProxy: 'none', timeouts: { connectMs: 100 } },
        'e.f': {
          httpProxy: { url: 'https://proxy.test:3128', ca: 'PEM of ca', authorization: basic('PEM of login') },
        },
      },
      addressPolicy,
    });
  });

  it('takes name and password out of the URL of the proxy for all', () => {
    const httpProxy = { url: 'http://u:p%40ss@proxy.test:3128', noProxy: ['.corp'] };
    expect(readRegistrySettings({ registries: {}, httpProxy, addressPolicy }).httpProxy).toEqual({
      proxy: { url: 'http://proxy.test:3128', authorization: basic('u:p@ss') },
      noProxy: ['.corp'],
    });
  });
});

describe('credentialsOf', () => {
  it.each([
    [{ kind: 'anonymous' }, []],
    [{ kind: 'bearer', token: 't', expiresAtMs: 1 }, [{ kind: 'bearer', token: 't', expiresAtMs: 1 }]],
    [{ kind: 'header', value: 'Basic x', expiresAtMs: 1 }, [{ kind: 'header', value: 'Basic x' }]],
    [
      { kind: 'header', value: 'Basic x', expiresAtMs: 1, account: 'a' },
      [{ kind: 'header', value: 'Basic x', account: 'a' }],
    ],
  ] as const)('%j', (brokered, expected) => expect(credentialsOf(brokered)).toEqual(expected));
});
