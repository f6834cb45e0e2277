import { expect, it } from '@jest/globals';
import { answerBoundMs } from './timeouts.ts';

it.each([
  ['as for all', 'ghcr.io', 13_000],
  ['its own in part', 'slow.example.test', 63_000],
  ['its own, by another spelling', 'index.docker.io', 3],
])('a registry is waited for, %s', (_what, host, ms) => {
  const registries = {
    'slow.example.test': { timeouts: { headersMs: 60_000 } },
    'docker.io': { timeouts: { connectMs: 1, headersMs: 2 } },
  };
  expect(answerBoundMs(host, registries)).toBe(ms);
  expect(answerBoundMs('ghcr.io', registries, { headersMs: 1_000 })).toBe(4_000);
});
