import { describe, expect, it } from '@jest/globals';
import { HintBook } from './hint-book.ts';

const hint = (...images: string[]) => ({ namespace: 'shop', pullSecrets: [], images, requestId: 'r-1' });
/** A watch that was silent for less than this counts as alive: `staleAfterMs` of packages/kube. */
const SILENT_MS = 150_000;

describe('HintBook', () => {
  it('remembers an admission for longer than a watch may be silent, and no longer than needed', () => {
    let now = 0;
    const book = new HintBook(() => now);
    expect(book.take(hint('nginx', 'a:b:c', 'quay.io/a/b:1'))).toEqual([
      'docker.io/library/nginx:latest',
      'quay.io/a/b:1',
    ]);
    now = SILENT_MS + 1_000;
    expect(book.expected('quay.io/a/b:1')).toMatchObject({ requestId: 'r-1' });
    expect(book.expected('quay.io/a/b:2')).toBeUndefined();
    book.take(hint('nginx'));
    now = 2 * SILENT_MS;
    expect(book.expected('quay.io/a/b:1')).toBeUndefined();
    expect(book.expected('docker.io/library/nginx:latest')).toBeDefined();
  });

  it('forgets the oldest when there are too many', () => {
    const book = new HintBook(() => 0);
    for (let index = 0; index <= 10_000; index += 1) book.take(hint(`a:${index}`));
    const known = ['0', '1', '10000'].map((tag) => book.expected(`docker.io/library/a:${tag}`) !== undefined);
    expect(known).toEqual([false, true, true]);
  });
});
