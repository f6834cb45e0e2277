import { expect, it } from '@jest/globals';
import { Peers } from './peers.ts';

it('another copier is waited for as long as the registry may take that it reads, and a moment for itself', () => {
  const peers = new Peers({ url: 'https://cache.test', ca: 'pem' }, (host) => (host === 'slow.test' ? 60_000 : 13_000));
  const copier = 'http://10.0.0.1:7440';
  const [slow, usual] = [peers.at(copier, 'slow.test'), peers.at(copier, 'docker.io')];
  expect([slow, usual]).toEqual(
    [62_000, 15_000].map((headersMs) => ({
      url: copier,
      ca: 'pem',
      timeouts: { connectMs: 500, idleMs: 45_000, headersMs },
    })),
  );
  expect(peers.at(copier, 'quay.io')).toBe(usual);
});

it('another copier is waited for no longer than for its disk when it is asked for what lies there, however slow the registry', () => {
  const peers = new Peers({ url: 'https://cache.test' }, () => 60_000);
  expect(peers.diskAt('http://10.0.0.1:7440').timeouts).toMatchObject({ headersMs: 5_000 });
});
