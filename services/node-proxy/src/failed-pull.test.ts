import { describe, expect, it } from '@jest/globals';
import { RegistryError } from '@kuik/registry';
import { ClientGone } from './client-stream.ts';
import { failedPull } from './failed-pull.ts';
import { codeOfBroken, PullFailure } from './failure.ts';
import { newRecord } from './pull-record.ts';

const unknown = new PullFailure('blobNotFound', 'no such blob');

describe('failedPull', () => {
  it.each<[string, unknown, boolean, object, boolean]>([
    ['a failure of its own', unknown, false, { code: unknown.code.code, error: 'no such blob', status: 404 }, true],
    ['the same behind the head', unknown, true, { code: unknown.code.code, status: 0 }, false],
    ['anything else', new Error('oh'), false, { code: 'KUIK-PRX-500', error: 'oh', status: 500 }, true],
    [
      'a body that broke',
      new RegistryError('truncated', 'short'),
      true,
      { code: codeOfBroken({ code: 'truncated' }), error: 'short' },
      false,
    ],
    ['a client that left', new ClientGone(), false, { code: 'client-gone', status: 0 }, false],
    ['what was given up for it', new RegistryError('aborted', 'given up'), true, { code: 'client-gone' }, false],
  ])('notes %s', (_what, error, begun, noted, answered) => {
    const record = newRecord('r-1', 'GET', 0);
    const failed = failedPull(error, record, begun);
    expect(record).toMatchObject(noted);
    expect(failed !== undefined).toBe(answered);
  });
});
