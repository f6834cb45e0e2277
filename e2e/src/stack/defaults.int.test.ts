import { beforeAll, describe, expect, it } from '@jest/globals';
import { DEFAULTS, SERVICES } from '@kuik/contracts';
import { loadedBy } from './rendered-settings.ts';

type Value = string | number | boolean | readonly unknown[];

function leavesOf(tree: object, prefix = ''): [string, Value][] {
  return Object.entries(tree).flatMap(([key, value]): [string, Value][] =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? leavesOf(value as object, `${prefix}${key}.`)
      : [[`${prefix}${key}`, value as Value]],
  );
}

/** What a service has to be told. */
const NEEDED = {
  KUIK_NATS_URL: 'nats://nats:4222',
  KUIK_REDIS_URL: 'redis://redis:6379',
  KUIK_CACHE_URL: 'http://cache:5000',
};
/** Setting -> the values that services which are told nothing else have for it. */
const settings = new Map<string, Set<string>>();
beforeAll(async () => {
  for (const config of await Promise.all(SERVICES.map((service) => loadedBy(service, undefined, NEEDED)))) {
    if (typeof config === 'string') throw new Error(config);
    for (const [name, value] of leavesOf(config))
      settings.set(name, (settings.get(name) ?? new Set()).add(JSON.stringify(value)));
  }
}, 60_000);

describe('the table of defaults', () => {
  it.each(leavesOf(DEFAULTS))('%s is the default of a setting of that name', (name, value) => {
    expect(settings.get(name.replace(/Ms$/, ''))).toEqual(new Set([JSON.stringify(value)]));
  });
});

it('no setting is a number of milliseconds: durations are written with their units', () => {
  expect(settings.size).toBeGreaterThan(60);
  expect([...settings.keys()].filter((name) => /(Ms|Seconds|Minutes|Hours)$/.test(name))).toEqual([]);
});
