import { describe, expect, it } from '@jest/globals';
import { afterVainRound, RETURN_MS, type AfterVainRound, type VainRound } from './ask-owners-again.ts';

const vain: VainRound = { begun: true, allAway: true, known: 2, sinceMs: 0 };

describe('afterVainRound', () => {
  it.each<[string, Partial<VainRound>, AfterVainRound['why']]>([
    ['the rest of a body, its owner just died', {}, 'MayReturn'],
    ['the last moment', { sinceMs: RETURN_MS - 1 }, 'MayReturn'],
    ['no longer', { sinceMs: RETURN_MS }, 'WaitedEnough'],
    ['a first byte', { begun: false }, 'NothingBegun'],
    ['no room, or upstream failed there', { allAway: false }, 'ToldToGo'],
    ['no copier was there lately', { known: 0 }, 'NobodyKnown'],
  ])('%s', (_what, bent, why) => {
    expect(afterVainRound({ ...vain, ...bent })).toEqual({ do: why === 'MayReturn' ? 'again' : 'alone', why });
  });
});
