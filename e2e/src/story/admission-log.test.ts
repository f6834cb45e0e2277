import { describe, expect, it } from '@jest/globals';
import { rulesIn } from './admission-log.ts';

const line = (pod: string, images: string): string =>
  JSON.stringify({ message: 'admission answered', namespace: 'default', pod, images });
const LOG = [
  'not JSON',
  line(
    'shop',
    'c:app r.example/shop:1 Rewritten default, c:local l.example:5000/x MatchesIgnore ignoreImages[0], i:init r.example/i:1 Rewritten default',
  ),
  line('other', 'c:app r.example/other:1 Rewritten acceptImages[2]'),
  line('shop', 'e:debug busybox:1.36 Rewritten default'),
].join('\n');

describe('rulesIn', () => {
  it('reads every admission of one pod', () => {
    expect([...rulesIn(LOG, 'default', 'shop')]).toEqual([
      ['app', 'default'],
      ['local', 'ignoreImages[0]'],
      ['init', 'default'],
      ['debug', 'default'],
    ]);
    expect(rulesIn(LOG, 'default', 'nobody').size).toBe(0);
  });
});
