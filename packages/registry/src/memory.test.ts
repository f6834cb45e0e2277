import { describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { RegistryError } from './errors.ts';
import { repositoryConformance } from './testing/repository-conformance.ts';
import { memoryRegistry } from './memory.ts';

const registry = memoryRegistry();
repositoryConformance('a registry in memory', (repository) => registry.repository('one.test', repository));

describe('memoryRegistry', () => {
  it('records requests and lets a test answer them', async () => {
    const down = new RegistryError('server-error', 'down', { status: 503 });
    const scripted = memoryRegistry({
      intercept: ({ operation }) => {
        if (operation === 'head-blob') throw down;
      },
    });
    const client = scripted.access.upstream('a.test', 'x/y', { credentials: () => Promise.resolve([]) });
    await expect(client.headBlob(digestOf('x'))).rejects.toBe(down);
    expect(scripted.requests).toEqual([
      { host: 'a.test', repository: 'x/y', operation: 'head-blob', reference: digestOf('x') },
    ]);
  });

  it('keeps hosts apart, and forgets a dropped blob', async () => {
    const both = memoryRegistry();
    const digest = digestOf('bytes');
    both.putBlob('a.test', 'x', Buffer.from('bytes'), digest);
    expect(await both.repository('a.test', 'x').headBlob(digest)).toEqual({ size: 5 });
    expect(await both.repository('b.test', 'x').headBlob(digest)).toBeUndefined();
    both.dropBlob('a.test', 'x', digest);
    expect(await both.access.cache({ url: 'http://a.test' }, 'x').headBlob(digest)).toBeUndefined();
  });
});
