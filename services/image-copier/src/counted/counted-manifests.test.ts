import { beforeEach, describe, expect, it } from '@jest/globals';
import { digestOf } from '@kuik/image';
import { memoryQueue } from '@kuik/queue/memory';
import { RegistryError, type RegistryErrorCode, type RepositoryClient } from '@kuik/registry';
import { createMetrics } from '@kuik/runtime';
import { CountedManifests } from './counted-manifests.ts';

const HUB = 'docker.io';
const BYTES = Buffer.from('{"manifest":true}');
const DIGEST = digestOf(BYTES);

/** A registry that shows one manifest in some repositories, and what was asked of it. */
class Registry {
  readonly asked: string[] = [];
  hidden = new Set<string>();
  failsWith: RegistryErrorCode | undefined;

  client(host: string, repository: string, who = 'anonymous'): RepositoryClient {
    const look = async (method: string, reference: string) => {
      this.asked.push(`${method} ${repository} ${reference === DIGEST ? 'digest' : reference}`);
      await Promise.resolve();
      if (this.hidden.has(`${repository} ${who}`)) throw new RegistryError('unauthorized', 'not yours');
      if (this.failsWith !== undefined && method === 'GET') throw new RegistryError(this.failsWith, 'failed');
      return { digest: DIGEST, mediaType: 'type', size: BYTES.length, bytes: BYTES };
    };
    return {
      host,
      repository,
      headManifest: (reference: string) => look('HEAD', reference),
      openManifest: (reference: string) => look('GET', reference),
    } as unknown as RepositoryClient;
  }
}

const ALICE = { host: HUB, account: 'a'.repeat(32) };
const EVIL = { host: HUB, account: 'e'.repeat(32) };

let registry: Registry;
let redis: ReturnType<typeof memoryQueue>;
const make = () =>
  new CountedManifests({
    registry: { upstream: (host, repository) => registry.client(host, repository) },
    once: redis.createReadOnce(),
    pacer: redis.createPacer(),
    metrics: createMetrics({ service: 'image-copier', defaults: false }),
    now: Date.now,
    monotonic: () => performance.now(),
  });
const question = (repository = 'library/app') => ({ host: HUB, repository, digest: DIGEST });
const gets = () => registry.asked.filter((request) => request.startsWith('GET')).length;
beforeEach(() => {
  registry = new Registry();
  redis = memoryQueue();
});

describe('a manifest of a registry that counts', () => {
  it('is read once for 36 nodes and two copiers, whoever asks', async () => {
    const [one, two] = [make(), make()];
    const copy = one.shared(registry.client(HUB, 'library/app', 'secret'), async () => ALICE);
    const answers = await Promise.all([
      ...Array.from({ length: 36 }, (_, node) => (node % 2 === 0 ? one : two).answer(question())),
      copy.openManifest('1'),
    ]);
    expect(gets()).toBe(1);
    for (const answer of answers.slice(0, 36))
      expect(answer).toEqual({ mediaType: 'type', bytes: BYTES.toString('base64') });
    // Proofs: each copier once, the copy for itself after the HEAD that resolved its tag.
    expect(registry.asked.length - gets()).toBeLessThanOrEqual(2 + 2);
  });

  it('is given to strangers only where strangers see it: a digest is no capability', async () => {
    const manifests = make();
    registry.hidden.add('team/private anonymous');
    await manifests.shared(registry.client(HUB, 'team/private', 'secret'), async () => ALICE).openManifest(DIGEST);
    expect(await manifests.answer(question('team/private'))).toMatchObject({ refused: { code: 'unauthorized' } });
    registry.hidden.add('evil/app evil');
    const evil = manifests.shared(registry.client(HUB, 'evil/app', 'evil'), async () => EVIL);
    await expect(evil.openManifest(DIGEST)).rejects.toMatchObject({ code: 'unauthorized' });
  });

  it('that limits us is asked once, and not again before its time', async () => {
    const manifests = make();
    registry.failsWith = 'rate-limited';
    const [answer] = await Promise.all([manifests.answer(question()), manifests.answer(question())]);
    expect(answer).toMatchObject({ refused: { code: 'rate-limited' } });
    expect(gets()).toBe(1);
    const later = await manifests.answer(question());
    expect((later as { refused: { retryAfterMs: number } }).refused.retryAfterMs).toBeGreaterThan(0);
    expect(gets()).toBe(1);
  });

  it('is left to the node when something of ours fails', async () => {
    const manifests = make();
    registry.client = () => {
      throw new Error('a defect');
    };
    expect(await manifests.answer(question())).toEqual({ readYourself: true });
  });

  it('is refused to nobody else because of the one whom the registry limits: neither to a login for strangers, nor the other way round', async () => {
    const manifests = make();
    const pacer = redis.createPacer();
    const copy = () =>
      manifests.shared(registry.client(HUB, 'library/app', 'secret'), async () => ALICE).openManifest(DIGEST);
    await pacer.limited({ host: HUB }, { retryAfterMs: 60_000, reason: 'KUIK-REG-429' });
    const [answer, copied] = await Promise.allSettled([manifests.answer(question()), copy()]);
    expect(answer).toMatchObject({ value: { refused: { code: 'rate-limited' } } });
    expect(copied).toMatchObject({ status: 'fulfilled', value: { digest: DIGEST } });
    expect(await pacer.parkedUntil(ALICE)).toBeUndefined();
  });
});

it('of a registry that counts nothing is read as ever', () => {
  const client = registry.client('ghcr.io', 'acme/app');
  expect(make().shared(client, async () => ({ host: 'ghcr.io' }))).toBe(client);
});
