import { describe, expect, it } from '@jest/globals';
import { codeOfNetworkError, codeOfStatus, describeUrl, networkError, RegistryError } from './errors.ts';

describe('codeOfStatus', () => {
  it.each([
    [400, 'rejected'],
    [401, 'unauthorized'],
    [403, 'forbidden'],
    [404, 'not-found'],
    [405, 'method-not-allowed'],
    [408, 'timeout'],
    [413, 'too-large'],
    [416, 'range-not-satisfiable'],
    [418, 'rejected'],
    [429, 'rate-limited'],
    [500, 'server-error'],
    [503, 'server-error'],
    [302, 'invalid-response'],
    [200, 'invalid-response'],
  ])('%i is %s', (status, code) => {
    expect(codeOfStatus(status)).toBe(code);
  });
});

describe('codeOfNetworkError', () => {
  const errno = (code: string) => Object.assign(new Error(code), { code });
  it.each([
    [errno('ECONNREFUSED'), 'refused'],
    [errno('ECONNRESET'), 'refused'],
    [errno('ENOTFOUND'), 'dns'],
    [errno('EAI_AGAIN'), 'dns'],
    [errno('ETIMEDOUT'), 'timeout'],
    [errno('UND_ERR_BODY_TIMEOUT'), 'timeout'],
    [errno('CERT_HAS_EXPIRED'), 'tls'],
    [errno('DEPTH_ZERO_SELF_SIGNED_CERT'), 'tls'],
    [errno('ERR_TLS_CERT_ALTNAME_INVALID'), 'tls'],
    [errno('UNABLE_TO_VERIFY_LEAF_SIGNATURE'), 'tls'],
    [errno('HPE_INVALID_CONSTANT'), 'invalid-response'],
    [new Error('outer', { cause: errno('ENOTFOUND') }), 'dns'],
    [new AggregateError([errno('ETIMEDOUT'), errno('ECONNREFUSED')]), 'timeout'],
    [new RegistryError('untrusted-host', 'x'), 'untrusted-host'],
    ['not even an error', 'refused'],
  ])('%s', (error, code) => {
    expect(codeOfNetworkError(error)).toBe(code);
  });
});

describe('RegistryError', () => {
  it.each([
    ['rate-limited', true],
    ['server-error', true],
    ['truncated', true],
    ['unauthorized', false],
    ['not-found', false],
    ['untrusted-host', false],
  ] as const)('%s: retry %s', (code, retry) => {
    expect(new RegistryError(code, 'x').retry).toBe(retry);
  });

  it('keeps its cause, and is not wrapped again', () => {
    const cause = new Error('why');
    const error = networkError('doing', cause);
    expect(error).toMatchObject({ code: 'refused', message: 'doing: why', cause });
    expect(networkError('again', error)).toBe(error);
  });
});

describe('describeUrl', () => {
  it('shows neither user info nor a signed query', () => {
    expect(describeUrl(new URL('https://u:p@s3.test/bucket/key?X-Amz-Signature=secret#f'))).toBe(
      'https://s3.test/bucket/key',
    );
  });
});
