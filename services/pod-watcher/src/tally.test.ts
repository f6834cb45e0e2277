import { describe, expect, it } from '@jest/globals';
import { Tally } from './tally.ts';

describe('Tally', () => {
  const world = new Map<string, string[]>([['a', ['Ready']]]);
  const asked: string[] = [];
  const tally = new Tally((key) => {
    asked.push(key);
    return (world.get(key) ?? []).map((status) => ({ labels: { status }, weight: 1 }));
  });
  const sums = () => Object.fromEntries([...tally.sums()].map(({ labels, sum }) => [labels.status, sum]));

  it('reads what changed, and nothing else', () => {
    tally.changed('a');
    expect(sums()).toEqual({ Ready: 1 });
    world.set('b', ['Ready', 'Duplicate']);
    tally.changed('b');
    tally.changed('b');
    expect(sums()).toEqual({ Ready: 2, Duplicate: 1 });
    expect(sums()).toEqual({ Ready: 2, Duplicate: 1 });
    expect(asked).toEqual(['a', 'b']);
  });

  it('forgets what is gone, told or missing from a full list', () => {
    world.delete('b');
    tally.changed('b');
    expect(sums()).toEqual({ Ready: 1, Duplicate: 0 });
    world.delete('a');
    world.set('c', ['Waiting']);
    tally.relisted(world.keys());
    expect(sums()).toEqual({ Ready: 0, Duplicate: 0, Waiting: 1 });
  });
});
