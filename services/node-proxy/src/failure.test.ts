import { describe, expect, it } from '@jest/globals';
import { ERROR_CODES } from '@kuik/contracts';
import type { RegistryErrorCode } from '@kuik/registry';
import { isNoSuchImage, isSilence, nameFailure, PullFailure } from './failure.ts';

describe('isSilence: may the cache answer for upstream?', () => {
  it.each<[RegistryErrorCode, boolean, boolean]>([
    ['refused', false, true],
    ['dns', false, true],
    ['timeout', false, true],
    ['timeout', true, true],
    ['tls', false, true],
    ['rate-limited', true, true],
    ['server-error', true, true],
    ['truncated', true, true],
    ['digest-mismatch', false, true],
    ['address-refused', false, true],
    ['unauthorized', false, true],
    ['forbidden', false, true],
    ['not-found', false, true],
    ['unauthorized', true, false],
    ['forbidden', true, false],
    ['not-found', true, false],
    ['aborted', false, false],
    ['range-not-satisfiable', false, false],
  ])('%s, credential used: %s -> %s', (code, credentialUsed, expected) => {
    expect(isSilence({ code, credentialUsed })).toBe(expected);
  });
});

describe('nameFailure: what the client is told', () => {
  it.each<[RegistryErrorCode, Parameters<typeof nameFailure>[0]['broker'], 'manifest' | 'blob' | 'tags', string]>([
    ['unauthorized', undefined, 'manifest', 'KUIK-REG-401'],
    ['forbidden', undefined, 'manifest', 'KUIK-REG-403'],
    ['not-found', undefined, 'manifest', 'KUIK-REG-404'],
    ['not-found', undefined, 'blob', 'KUIK-REG-405'],
    ['not-found', undefined, 'tags', 'KUIK-REG-407'],
    ['unauthorized', 'brokerUnavailable', 'manifest', 'KUIK-CRD-503'],
    ['not-found', 'brokerUnavailable', 'blob', 'KUIK-CRD-503'],
    ['unauthorized', 'brokerDenied', 'manifest', 'KUIK-CRD-403'],
    ['not-found', 'brokerDenied', 'manifest', 'KUIK-REG-404'],
    ['unauthorized', 'secretInvalid', 'manifest', 'KUIK-CRD-422'],
    ['timeout', 'brokerUnavailable', 'manifest', 'KUIK-REG-504'],
    ['refused', undefined, 'manifest', 'KUIK-REG-503'],
    ['dns', undefined, 'manifest', 'KUIK-REG-503'],
    ['server-error', undefined, 'manifest', 'KUIK-REG-502'],
    ['rate-limited', undefined, 'manifest', 'KUIK-REG-429'],
    ['digest-mismatch', undefined, 'manifest', 'KUIK-REG-520'],
    ['address-refused', undefined, 'manifest', 'KUIK-REG-530'],
    ['tls', undefined, 'manifest', 'KUIK-REG-531'],
  ])('%s, broker: %s, of a %s -> %s', (code, broker, kind, expected) => {
    const name = nameFailure(broker === undefined ? { code } : { code, broker }, kind);
    expect(ERROR_CODES[name].code).toBe(expected);
  });
});

it('only "not found" and a host that does not exist let another meaning of a name be tried', () => {
  const codes: RegistryErrorCode[] = ['not-found', 'dns', 'unauthorized', 'timeout', 'refused', 'server-error'];
  expect(codes.filter((code) => isNoSuchImage({ code }))).toEqual(['not-found', 'dns']);
});

it('a PullFailure knows its code', () => {
  expect(new PullFailure('readOnly', 'no').code.http).toBe(405);
});
