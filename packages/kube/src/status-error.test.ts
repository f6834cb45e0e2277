import { describe, expect, it } from '@jest/globals';
import { KubeError } from './kube-error.ts';
import { CACHED_IMAGES, SECRETS } from './resources.ts';
import { codeOf, statusError } from './status-error.ts';
import { timeoutReason, transportError } from './transport-error.ts';

const target = { verb: 'apply', resource: CACHED_IMAGES, name: { name: 'nginx' }, subresource: 'status', path: '/x' };

describe('codeOf', () => {
  it.each([
    [401, undefined, 'unauthorized', true],
    [403, undefined, 'forbidden', false],
    [404, undefined, 'not-found', false],
    [409, 'AlreadyExists', 'already-exists', false],
    [409, 'Conflict', 'conflict', false],
    [410, 'Expired', 'gone', false],
    [400, 'BadRequest', 'invalid', false],
    [422, 'Invalid', 'invalid', false],
    [429, undefined, 'too-many-requests', true],
    [500, 'InternalError', 'unavailable', true],
    [503, undefined, 'unavailable', true],
    [504, 'Timeout', 'timeout', true],
    [418, undefined, 'unexpected', false],
  ] as const)('%d %s is %s', (status, reason, code, retry) => {
    expect(codeOf(status, reason === undefined ? {} : { reason })).toBe(code);
    expect(new KubeError(code, '').retry).toBe(retry);
  });
});

it('does not take a patch that never fits for a server in trouble', () => {
  const message =
    'failed to create typed patch object (/x; kuik.enix.io/v1alpha1, Kind=CachedImage): .status.x: field not declared in schema';
  expect(codeOf(500, { message })).toBe('invalid');
});

describe('statusError', () => {
  it('names the call, what the server said, and the remedy', () => {
    const error = statusError(target, 409, { message: 'the object has been modified' });
    expect(error.message).toBe(
      'cannot apply cachedimages.kuik.enix.io/status "nginx": the object has been modified; read the object again and decide anew',
    );
    expect([error.name, error.status, error.retryAfterMs]).toEqual(['KubeError', 409, undefined]);
  });

  it.each([
    [{ details: { retryAfterSeconds: 3 } }, undefined, 3_000],
    [{}, '7', 7_000],
    [{}, 'Wed, 21 Oct 2026 07:28:00 GMT', undefined],
    [{}, undefined, undefined],
  ])('reads how long to wait from %j and %s', (body, header, expected) => {
    expect(statusError(target, 429, body, header).retryAfterMs).toBe(expected);
  });

  it('grants no more than the object asked for', () => {
    const secret = { verb: 'get', resource: SECRETS, name: { name: 'regcred', namespace: 'acme' }, path: '/x' };
    expect(statusError(secret, 403, { message: 'no' }).message).toBe(
      'cannot get secrets "acme/regcred": no; grant the service account "get" on secrets, or see why an admission policy refused',
    );
  });
});

describe('transportError', () => {
  const of = (thrown: unknown, aborted = false) =>
    transportError({ verb: 'list', path: '/p' }, 'https://k', thrown, aborted);
  const coded = (code: string, message = 'broken') => Object.assign(new Error(message), { code });

  it.each([
    [coded('ECONNREFUSED'), false, 'unavailable'],
    [coded('UND_ERR_SOCKET'), false, 'unavailable'],
    [coded('UND_ERR_CONNECT_TIMEOUT'), false, 'timeout'],
    [timeoutReason('KUIK_CALL_TIMEOUT', 100), false, 'timeout'],
    [coded('UND_ERR_DESTROYED'), false, 'aborted'],
    [coded('ABORT_ERR'), true, 'aborted'],
    ['a string', false, 'unavailable'],
  ])('%s, aborted %s: %s', (thrown, aborted, code) => {
    expect(of(thrown, aborted).code).toBe(code);
  });

  it('speaks of the first address when all failed, and of certificates', () => {
    const all = new AggregateError([coded('ECONNREFUSED', 'connect ECONNREFUSED ::1:6443'), coded('x')], '');
    expect(of(all).message).toContain('https://k: connect ECONNREFUSED ::1:6443; check that the API server is running');
    expect(of(coded('DEPTH_ZERO_SELF_SIGNED_CERT')).message).toContain('check the certificate authority');
  });

  it('leaves a KubeError as it is', () => {
    const error = new KubeError('gone', 'x');
    expect(of(error)).toBe(error);
  });
});
