import { describe, expect, it } from '@jest/globals';
import { RegistryError } from '@kuik/registry';
import { CacheDown, CacheMiss } from './cache-access.ts';
import { UpstreamFailure } from './failure.ts';
import { look } from './look.ts';
import { mayRun, NOTHING_SEEN, type Step } from './route.ts';

const repository = { host: 'quay.io', path: 'app' };
const cache: Step = { from: 'cache', repository, reference: '1', reason: 'ByDigest' };
const upstream: Step = { ...cache, from: 'upstream' };
const elsewhere: Step = { ...upstream, repository: { ...repository, host: 'ghcr.io' } };
const timeout = new RegistryError('timeout', 'no answer');
const refused = new RegistryError('refused', 'no connection');
const upstreamFailed = (cause?: RegistryError) =>
  new UpstreamFailure(cause?.code ?? 'timeout', 'failed', { credentialUsed: false, cause });

describe('look', () => {
  it.each([
    ['a cache that timed out', cache, new CacheDown('slow', { cause: timeout }), { cache: false, upstream: true }],
    ['a cache that refuses', cache, new CacheDown('down', { cause: refused }), { cache: true, upstream: true }],
    ['a cache that was spared', cache, new CacheDown('spared', { spared: true }), { cache: true, upstream: true }],
    ['a cache that lacks it', cache, new CacheMiss('it'), { cache: true, upstream: true }],
    ['an upstream that timed out', upstream, upstreamFailed(timeout), { cache: true, upstream: false }],
    ['an upstream that refuses', upstream, upstreamFailed(refused), { cache: true, upstream: true }],
    ['our own patience with upstream', upstream, upstreamFailed(), { cache: true, upstream: true }],
  ])('after %s nobody is waited for twice', (_what, step, error, asked) => {
    const seen = look(NOTHING_SEEN, error, step);
    expect({ cache: mayRun(cache, seen), upstream: mayRun(upstream, seen) }).toEqual(asked);
    expect(mayRun(elsewhere, seen)).toBe(true);
  });

  it('ends the plan for what is no answer of a place', () => {
    const defect = new TypeError('a defect');
    expect(() => look(NOTHING_SEEN, defect, cache)).toThrow(defect);
  });
});
