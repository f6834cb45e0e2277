import { describe, expect, it } from '@jest/globals';
import { COMEBACK_MS, whileAway, type Away, type WhileAway } from './while-away.ts';

const away: Away = { settled: true, goneMs: 0, offset: 10, upTo: 20 };

describe('whileAway', () => {
  it.each<[string, Partial<Away>, WhileAway['do'], WhileAway['why']]>([
    ['a byte that it has, just gone', {}, 'wait', 'MayBeBack'],
    ['the last moment', { goneMs: COMEBACK_MS - 1 }, 'wait', 'MayBeBack'],
    ['no longer', { goneMs: COMEBACK_MS }, 'go on', 'WaitedEnough'],
    ['the byte that it had come to', { offset: 20 }, 'go on', 'NeverCameSoFar'],
    ['the one before it', { offset: 19 }, 'wait', 'MayBeBack'],
    ['nobody knows how far it came', { offset: 0, upTo: 0 }, 'go on', 'NeverCameSoFar'],
    ['it left', { settled: false }, 'go on', 'Left'],
  ])('%s', (_what, bent, does, why) => {
    expect(whileAway({ ...away, ...bent })).toEqual({ do: does, why });
  });
});
