import { expect, it } from '@jest/globals';
import { KNOWN_REGISTRIES } from '@kuik/contracts';
import { paceOf } from './pace.ts';

const own = { perSecond: 3, burst: 4 };
const pace = { perSecond: 1, burst: 2 };

it.each([
  ['what is configured for the host', { hosts: { 'docker.io': own }, pace }, 'docker.io', own],
  ['what is known of the registry', { pace }, 'docker.io', KNOWN_REGISTRIES['docker.io']!.pace],
  ["everybody's", { pace, hosts: { 'docker.io': own } }, 'registry.example.test', pace],
  ['nothing of what objects inherit', { pace }, 'constructor', pace],
])('the pace of a host is %s', (_, options, host, expected) => {
  expect(paceOf(options, host)).toEqual(expected);
});
