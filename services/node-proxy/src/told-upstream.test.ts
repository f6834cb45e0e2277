import { expect, it } from '@jest/globals';
import { upstreamTold } from '@kuik/contracts';
import type { RegistryEvent } from '@kuik/registry';
import { ToldUpstream } from './told-upstream.ts';

const event = (change: Partial<RegistryEvent>): RegistryEvent => ({
  host: 'docker.io',
  operation: 'manifest-get',
  status: 200,
  ms: 1,
  upstream: { identity: 'a', anonymous: true, rateLimit: { limit: 100, remaining: 9, windowSeconds: 60 } },
  ...change,
});
const ALICE = 'a'.repeat(32);
const quiet = { identity: 'a', anonymous: true };

it('tells how many manifests were asked for, the last word about each quota, and limits; once', () => {
  const told = new ToldUpstream();
  told.add(event({}));
  told.add(event({ upstream: { identity: 'a', anonymous: true, rateLimit: { limit: 100, remaining: 8 } } }));
  told.add(
    event({ operation: 'manifest-head', upstream: { identity: 'b', anonymous: false, rateLimit: { remaining: 3 } } }),
  );
  told.add(event({ host: 'q.example', status: 429, operation: 'blob-get', upstream: { ...quiet, retryAfterMs: 7 } }));
  told.add(event({ host: 'silent.example', operation: 'blob-get', upstream: quiet }));
  const alice = { identity: 'b', anonymous: false, account: ALICE };
  told.add(event({ upstream: { ...alice, rateLimit: { remaining: 5 } } }));
  told.add(event({ status: 429, operation: 'manifest-head', upstream: { ...alice, retryAfterMs: 9 } }));
  const { upstream: _cache, ...ours } = event({ host: 'cache' });
  told.add(ours);
  const message = told.take('n');
  expect(message).toEqual({
    node: 'n',
    hosts: [
      {
        host: 'docker.io',
        requests: 2,
        quotas: [
          { identity: 'a', limit: 100, remaining: 8 },
          { identity: 'b', remaining: 3 },
        ],
      },
      { host: 'q.example', requests: 0, quotas: [], limited: { retryAfterMs: 7 } },
      {
        host: 'docker.io',
        account: ALICE,
        requests: 1,
        quotas: [{ identity: 'b', remaining: 5 }],
        limited: { retryAfterMs: 9 },
      },
    ],
  });
  expect(upstreamTold.parse(message)).toEqual(message);
  expect(told.take('n')).toBeUndefined();
});

it('never tells more than a message holds', () => {
  const told = new ToldUpstream();
  for (let host = 0; host < 100; host += 1)
    for (let identity = 0; identity < 9; identity += 1)
      told.add(
        event({
          host: `h${host}`,
          upstream: { identity: `${identity}`, anonymous: true, rateLimit: { remaining: 1 } },
        }),
      );
  expect(upstreamTold.safeParse(told.take('n')).success).toBe(true);
});
