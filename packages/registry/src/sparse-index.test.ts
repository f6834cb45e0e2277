import { describe, expect, it } from '@jest/globals';
import { RegistryError } from './errors.ts';
import { asSparseRefusal, SparseIndexRefused } from './sparse-index.ts';

const target = { host: 'cache.test', repository: 'a' };
const lacks = [{ mediaType: '', digest: `sha256:${'a'.repeat(64)}`, size: 1 }];
const answered = (status: number, said?: string): RegistryError =>
  new RegistryError(status === 404 ? 'not-found' : 'rejected', 'no', {
    status,
    ...(said === undefined ? {} : { said }),
  });

describe('asSparseRefusal', () => {
  it.each<[string, unknown, boolean]>([
    ['Distribution', answered(400, 'MANIFEST_BLOB_UNKNOWN'), true],
    ['one that answers 404', answered(404, 'MANIFEST_UNKNOWN'), true],
    ['one that calls it invalid', answered(400, 'MANIFEST_INVALID'), true],
    ['another complaint', answered(400, 'DENIED'), false],
    ['an unspoken one', answered(400), false],
    ['a passing failure', new RegistryError('server-error', 'no', { said: 'MANIFEST_UNKNOWN' }), false],
    ['no answer of a registry', new Error('no'), false],
  ])('%s', (_name, error, is) => {
    const judged = asSparseRefusal(error, target, lacks);
    expect(judged instanceof SparseIndexRefused).toBe(is);
    if (!is) expect(judged).toBe(error);
    // What has everything is refused for another reason.
    expect(asSparseRefusal(error, target, [])).toBe(error);
  });

  it('names the setting', () => {
    const { message } = asSparseRefusal(answered(400, 'MANIFEST_INVALID'), target, lacks) as Error;
    expect(message).toContain('validation.manifests.indexes.platforms: none');
  });
});
