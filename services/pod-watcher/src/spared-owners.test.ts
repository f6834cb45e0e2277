import { describe, expect, it } from '@jest/globals';
import { readSparedOwner, type SparedOwner, writeSparedOwner } from '@kuik/contracts';
import type { Fight } from './fighting-owners.ts';
import { crowding, rewriteStopped, SPARED_MAX, sparing, tidying } from './spared-owners.ts';
import { at, DAY, NOW } from './testing/objects.ts';

const UID = '0be1f7aa-1111-4222-8333-444455556666';
const named = { apiVersion: 'db.test/v1', kind: 'Cluster', name: 'db' };
const images = { from: 'quay.io/acme/db:1', to: 'localhost:7439/quay.io/acme/db:1' };
const fight: Fight = { owner: { ...named, uid: UID }, namespace: 'shop', ...images, count: 3 };

function entry(sinceMs: number, change: Partial<SparedOwner> = {}): string {
  return writeSparedOwner({ ...named, namespace: 'shop', since: at(sinceMs), ...images, count: 3, ...change });
}

describe('sparing', () => {
  it('says who it is, since when and why', () => {
    const changes = sparing({ other: 'x' }, fight, NOW);
    expect(Object.keys(changes)).toEqual([UID]);
    expect(JSON.parse(changes[UID]!)).toEqual({ ...named, namespace: 'shop', since: at(0), ...images, count: 3 });
  });

  it('lets those go that were spared longest ago, once there are too many; never those of persons', () => {
    const many = Object.fromEntries(
      Array.from({ length: SPARED_MAX - 3 }, (_, index) => [`uid-${index}`, entry(index)]),
    );
    const full = { mine: 'by hand', old: entry(-2), ...many, older: entry(-3) };
    expect(Object.keys(sparing({ ...many, mine: 'by hand' }, fight, NOW))).toEqual([UID]);
    const changes = sparing(full, fight, NOW);
    expect(changes).toEqual({ older: null, [UID]: changes[UID] });
    expect(Object.keys(sparing({ ...full, more: 'by hand' }, fight, NOW))).toEqual(['older', 'old', UID]);
  });
});

describe('tidying', () => {
  it.each<[string, string, boolean, string | null | undefined]>([
    ['spared today', entry(-DAY + 1), false, undefined],
    ['spared yesterday, with pods', entry(-DAY), true, entry(-DAY, { seen: at(0).slice(0, 10) })],
    ['seen today', entry(-40 * DAY, { seen: at(0).slice(0, 10) }), true, undefined],
    [
      'seen the day before yesterday',
      entry(-40 * DAY, { seen: at(-2 * DAY).slice(0, 10) }),
      true,
      entry(-40 * DAY, { seen: at(0).slice(0, 10) }),
    ],
    ['without pods for a while', entry(-29 * DAY), false, undefined],
    ['without pods for too long', entry(-30 * DAY), false, null],
    ['long spared, lately without pods', entry(-90 * DAY, { seen: at(-29 * DAY).slice(0, 10) }), false, undefined],
    ['with pods again after a long time', entry(-90 * DAY), true, entry(-90 * DAY, { seen: at(0).slice(0, 10) })],
    ['by hand, without pods', 'please', false, undefined],
    ['by hand, with pods', '{"since":"2020"}', true, undefined],
  ])('%s', (_, value, hasPods, expected) => {
    const changes = tidying({ [UID]: value }, () => hasPods, NOW, 30 * DAY);
    expect(changes).toEqual(expected === undefined ? undefined : { [UID]: expected });
  });

  it('asks for pods of none that was spared today', () => {
    const asked: string[] = [];
    tidying({ new: entry(-1), old: entry(-2 * DAY) }, (uid) => asked.push(uid) > 0, NOW, 30 * DAY);
    expect(asked).toEqual(['old']);
  });
});

describe('crowding', () => {
  const many = (uids: number) => Object.fromEntries(Array.from({ length: uids }, (_, index) => [`uid-${index}`, 'x']));
  it('is told before the admission policy is full', () => {
    expect(crowding(many(2_000), 'kuik-system')).toBeUndefined();
    expect(crowding(many(2_001), 'kuik-system')).toContain(
      'ConfigMap kuik-system/kuik-spared-owners names 2001 owners',
    );
  });
});

describe('the event', () => {
  it('has the rule and how to undo it in its first 1,000 characters, however long the images are', () => {
    const long = 'x'.repeat(500);
    const text = rewriteStopped({ ...fight, from: long, to: long }, 'kuik-system').slice(0, 500);
    expect(text).toContain(`rule sparedOwners.${UID}`);
    expect(text).toContain(
      `kubectl -n kuik-system patch configmap kuik-spared-owners --type=json -p='[{"op":"remove","path":"/data/${UID}"}]'`,
    );
  });
});

it.each(['', 'x', '[]', '{}', 'null', '{"since":"yesterday"}'])('a value that is not ours: %s', (value) => {
  expect(readSparedOwner(value)).toBeUndefined();
});
