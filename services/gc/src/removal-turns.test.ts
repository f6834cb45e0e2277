import { describe, expect, it } from '@jest/globals';
import { imageOf } from './fixtures.ts';
import { RemovalTurns, type Due } from './removal-turns.ts';

const due = (...names: string[]): Due[] =>
  names.map((name) => ({ image: imageOf({ name }), verdict: { do: 'finish' } }));
const namesOf = (all: readonly Due[]) => all.map(({ image }) => image.metadata.name);

describe('the turns of a round', () => {
  it('are first those of images that neither failed nor wait, however long the looks of others take', () => {
    const turns = new RemovalTurns();
    const all = due('a', 'b', 'c', 'd');
    expect(namesOf(turns.begin(all, 0))).toEqual(['a', 'b', 'c', 'd']);
    turns.failed('uid-a', 'docker.io/library/a');
    turns.waits('uid-b', 0);
    turns.waits('uid-c', 1);
    expect(namesOf(turns.begin(all, 10_000))).toEqual(['d', 'a']);
    expect(namesOf(turns.begin(all, 300_000))).toEqual(['d', 'b', 'c', 'a']);
    // The round ended before its second look: the next one begins with that.
    turns.waits('uid-b', 300_000);
    expect(namesOf(turns.begin(all, 600_000))).toEqual(['d', 'c', 'b', 'a']);
  });
});
