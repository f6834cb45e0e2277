import { describe, expect, it } from '@jest/globals';
import { metricOf } from './metric.ts';

const TEXT = [
  '# HELP kuik_x help',
  'kuik_x{origin="cache",status="200"} 3',
  'kuik_x{origin="upstream",status="200"} 4',
  'kuik_xy 9',
  'kuik_y 1.5',
  '',
].join('\n');

describe('metricOf', () => {
  it.each([
    ['kuik_x', {}, 7],
    ['kuik_x', { origin: 'cache' }, 3],
    ['kuik_x', { origin: 'cache', status: '404' }, 0],
    ['kuik_y', {}, 1.5],
    ['kuik_z', {}, 0],
  ])('%s %j is %d', (name, labels, value) => expect(metricOf(TEXT, name, labels)).toBe(value));
});
