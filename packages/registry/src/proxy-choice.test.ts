import { describe, expect, it } from '@jest/globals';
import { bypasses, chooseProxy, insideName } from './proxy-choice.ts';
import type { RegistryEndpoint } from './port.ts';

const url = (text: string) => new URL(`https://${text}/v2/`);

describe('bypasses', () => {
  it.each([
    ['quay.io', [], false],
    ['quay.io', ['*'], true],
    ['quay.io', ['quay.io'], true],
    ['cdn.quay.io', ['quay.io'], true],
    ['evilquay.io', ['quay.io'], false],
    ['cdn.quay.io', ['.quay.io'], true],
    ['quay.io', ['.quay.io'], false],
    ['cdn.quay.io', ['*.quay.io'], true],
    ['QUAY.io', [' quay.IO '], true],
    ['quay.io:8443', ['quay.io'], true],
    ['quay.io:8443', ['quay.io:8443'], true],
    ['quay.io', ['quay.io:8443'], false],
    ['quay.io', ['quay.io:443'], true],
    ['10.1.2.3:5000', ['10.0.0.0/8'], true],
    ['11.1.2.3', ['10.0.0.0/8'], false],
    ['10.1.2.3', ['10.1.2.3'], true],
    ['10.1.2.3', ['2.3'], false],
    ['[fd00::1]:5000', ['fd00::/8'], true],
    ['quay.io', ['10.0.0.0/8', '10.0.0.0/99', 'x/y', ''], false],
    ['localhost:5000', [], true],
    ['127.0.0.1:5000', [], true],
    ['[::1]:5000', [], true],
  ])('%s, %j: %s', (host, noProxy, expected) => {
    expect(bypasses(url(host), noProxy)).toBe(expected);
  });
});

describe('chooseProxy', () => {
  const own = { url: 'http://own:1' };
  const rule = { proxy: { url: 'http://all:1' }, noProxy: ['quay.io'] };
  it.each<[string, string, RegistryEndpoint, typeof rule | undefined, object]>([
    ['none is set', 'ghcr.io', {}, undefined, { reason: 'none' }],
    ['the one for all', 'ghcr.io', {}, rule, { proxy: rule.proxy, reason: 'of-all' }],
    ['left out', 'quay.io', {}, rule, { reason: 'no-proxy' }],
    [
      "the registry's own, whatever is left out",
      'quay.io',
      { httpProxy: own },
      rule,
      { proxy: own, reason: 'of-the-registry' },
    ],
    ['off for the registry', 'ghcr.io', { httpProxy: 'none' }, rule, { reason: 'off-for-the-registry' }],
  ])('%s', (_name, host, endpoint, all, choice) => {
    expect(chooseProxy(url(host), endpoint, all)).toEqual(choice);
  });
});

describe('insideName', () => {
  it.each([
    ['quay.io', false],
    ['svc.example.org', false],
    ['registry', true],
    ['metadata.google.internal', true],
    ['redis.kuik-system.svc', true],
    ['redis.kuik-system.svc.cluster.local', true],
    ['redis.kuik-system.svc.example.org', true],
    ['printer.local.', true],
    ['x.localhost', true],
  ])('%s: %s', (host, refused) => {
    expect(insideName(host) !== undefined).toBe(refused);
  });
});
