import { expect, it } from '@jest/globals';
import { METRICS } from '@kuik/contracts';
import type { ReflectorEvent } from './port.ts';
import { watchMetrics } from './watch-metrics.ts';

const list = (change: object): ReflectorEvent => ({
  kind: 'list',
  resource: 'pods',
  why: 'resync',
  items: 9,
  repaired: 0,
  ms: 1,
  ...change,
});

it.each<[string, ReflectorEvent, unknown[]]>([
  ['a list that found nothing new', list({}), [[METRICS.watchRestarts.name, { resource: 'pods', why: 'resync' }]]],
  [
    'a list that found what no watch had told',
    list({ repaired: 3 }),
    [
      [METRICS.watchRestarts.name, { resource: 'pods', why: 'resync' }],
      [METRICS.resyncRepairs.name, { what: 'pods' }, 3],
    ],
  ],
  [
    'a watch',
    { kind: 'watch', resource: 'pods', why: 'closed' },
    [[METRICS.watchRestarts.name, { resource: 'pods', why: 'closed' }]],
  ],
  ['a change', { kind: 'change', resource: 'pods', type: 'ADDED' }, []],
])('counts %s', (_what, event, counted) => {
  const found: unknown[] = [];
  watchMetrics({ counter: ({ name }) => ({ inc: (...said) => void found.push([name, ...said]) }) })(event);
  expect(found).toEqual(counted);
});
