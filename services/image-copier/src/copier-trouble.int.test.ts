import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { CREDENTIALS, sealCredential, TRANSFER_ACCESS_HEADER } from '@kuik/contracts';
import { createRegistryAccess } from '@kuik/registry';
import { makeImage, until, type MadeImage, type RuleHandle } from '@kuik/testbed';
import { startCopierWorld, type Copier, type CopierWorld } from './testing/copier-world.ts';

const HOST = 'registry.example.test';
const SLOW = 'slow.example.test';
/** A host of its own: copiers spare one that was silent. */
const SILENT = 'silent.example.test';
const LIMITED = 'limited.example.test';
const PRIVATE = 'private.example.test';
const MiB = 1024 * 1024;

let world: CopierWorld;
let copier: Copier;
beforeAll(async () => {
  world = await startCopierWorld([HOST, SLOW, SILENT, LIMITED, PRIVATE]);
  const { host } = world.stack.upstream;
  copier = await world.start(
    {},
    {
      addressPolicy: { refuse: ['8.8.8.0/24'], allow: ['127.0.0.0/8'] },
      registries: { ...world.faults.registries(), [host]: { plainHTTP: true } },
    },
  );
}, 90_000);
afterAll(() => world?.close());
afterEach(() => {
  for (const host of [HOST, SLOW, SILENT, LIMITED, PRIVATE]) world.faults.host(host).clear();
});

async function push(host: string, repository: string, layers: number[] = [1024]): Promise<MadeImage> {
  const made = await makeImage({ seed: `${host}/${repository}`, layers });
  await world.faults.push(host, repository, ['1'], made);
  return made;
}
const on = (repository: string, kind: 'manifest' | 'blob', host = HOST) =>
  world.faults.host(host).on({ kind, repository });
const blobReads = (made: MadeImage) =>
  world.faults.log
    .requests({ kind: 'blob', method: 'GET' })
    .filter(({ reference }) => made.blobs.some(({ digest }) => digest === reference));

/** An image with a layer that arrives slowly, its copy under way; `layer` is the one that was asked for. */
async function inMidCopy(repository: string): Promise<{ made: MadeImage; rule: RuleHandle }> {
  const made = await push(SLOW, repository, [1024, 3 * MiB]);
  const rule = world.faults
    .host(SLOW)
    .on({ kind: 'blob', repository, reference: made.blobs.at(-1)!.digest })
    .drip(MiB);
  return { made, rule };
}
const layerAsked = (made: MadeImage) =>
  world.faults.log.untilRequest(
    ({ reference, bytes }) => reference === made.blobs.at(-1)!.digest && bytes > 0,
    10_000,
    'the slow layer to be under way',
  );

describe('a copy that takes long', () => {
  it('says so while it runs, and how far it is; nothing of that is left when it ended', async () => {
    const { made } = await inMidCopy('progress');
    const image = await world.copied(`${SLOW}/progress:1`, ({ copying }) => copying?.bytesTotal !== undefined);
    const { copying, ...rest } = image.stanza;
    expect(rest).toEqual({ forUid: image.metadata.uid });
    expect(copying!.bytesTotal).toBeGreaterThan(3 * MiB);
    expect(copying!.bytesDone).toBeLessThan(copying!.bytesTotal!);
    expect(await copier.metric('kuik_copy_progress_bytes')).toBeGreaterThanOrEqual(copying!.bytesDone!);
    const told = Date.parse(copying!.until) - Date.parse(copying!.since);
    // Told after two seconds, and believed for two and a half of its paces.
    expect([told >= 152_000, told < 160_000]).toEqual([true, true]);
    const done = await world.told(image, ({ digest }) => digest !== undefined);
    expect(done.stanza).toMatchObject({ digest: made.digest });
    expect(done.stanza).not.toHaveProperty('copying');
    await until(async () => (await copier.metric('kuik_copy_progress_bytes')) === 0, {
      what: 'the progress of what ended to be forgotten',
    });
  });
});

describe('a private image', () => {
  it('says that the broker is away, and is copied once it answers', async () => {
    const made = await push(PRIVATE, 'team/app');
    await world.faults.host(PRIVATE).auth({ scheme: 'basic', users: [{ username: 'robot', password: 'hunter2' }] });
    const image = await world.copied(`${PRIVATE}/team/app:1`);
    expect(image.stanza.error).toMatchObject({ code: 'KUIK-CRD-503', attempts: 1 });
    const header = `Basic ${Buffer.from('robot:hunter2').toString('base64')}`;
    // From here on there is a broker.
    const asked = new Set<string>();
    world.bus.respond(CREDENTIALS, ({ host, repository, publicKey, pull }) => {
      asked.add(`${repository} ${pull === true ? 'for a pull' : 'in time'}`);
      const own = { kind: 'header', value: header, expiresAtMs: Date.now() + 60_000 } as const;
      return Promise.resolve({ sealed: sealCredential(host === PRIVATE ? own : { kind: 'anonymous' }, publicKey) });
    });
    const copied = await until(
      async () => {
        await world.enqueue(image, 'Retry');
        return world.told(image, ({ digest }) => digest !== undefined, 1_000);
      },
      { what: 'the broker to be asked again', timeoutMs: 10_000 },
    );
    expect(copied.stanza.digest).toBe(made.digest);
    expect(JSON.stringify(copied)).not.toContain('hunter2');

    const { blobs } = await push(PRIVATE, 'team/pulled');
    const { issuer, audience, privateKey: keyPem, certificate: certificatePem } = world.stack.cache.readerKey;
    const signer = { issuer, audience, keyPem, certificatePem, actions: ['pull' as const] };
    const registry = createRegistryAccess();
    const blob = await registry
      .cache({ url: copier.transfersUrl, signer }, `${PRIVATE}/team/pulled`, {
        headers: { [TRANSFER_ACCESS_HEADER]: 'credential' },
      })
      .openBlob(blobs[0]!.digest);
    await blob.deliver(() => undefined);
    await registry.close();
    expect([...asked]).toEqual(['team/app in time', 'team/pulled for a pull']);
  });
});

describe('an upstream that', () => {
  it.each<[string, string, (repository: string) => RuleHandle, string]>([
    ['refuses', 'refuses', (repository) => on(repository, 'manifest').unauthorized(), 'KUIK-REG-401'],
    ['denies', 'denies', (repository) => on(repository, 'manifest').forbidden(), 'KUIK-REG-403'],
    ['does not have it', 'lacks', (repository) => on(repository, 'manifest').gone(), 'KUIK-REG-404'],
    ['fails', 'fails', (repository) => on(repository, 'manifest').serverError(), 'KUIK-REG-502'],
    ['breaks the connection', 'resets', (repository) => on(repository, 'manifest').reset(), 'KUIK-REG-503'],
    ['cuts every body', 'cuts', (repository) => on(repository, 'blob').cutAt(10), 'KUIK-REG-502'],
    ['sends wrong bytes', 'lies', (repository) => on(repository, 'blob').flip(3), 'KUIK-REG-520'],
  ])('%s is named; failures are counted; nothing half is kept', async (_name, repository, breakIt, code) => {
    const made = await push(HOST, repository);
    const rule = breakIt(repository);
    const image = await world.copied(`${HOST}/${repository}:1`);
    expect(image.stanza).toEqual({
      forUid: image.metadata.uid,
      error: { code, message: expect.stringContaining(`${HOST}/${repository}:1`), at: expect.any(String), attempts: 1 },
    });
    expect(image.stanza.error!.message).not.toContain('\n');
    await world.enqueue(image, 'Retry');
    await world.told(image, ({ error }) => error?.attempts === 2);
    expect(await world.tags(`${HOST}/${repository}`)).toEqual([]);
    rule.clear();
    await world.enqueue(image, 'Retry');
    const { stanza } = await world.told(image, ({ digest }) => digest !== undefined);
    expect(stanza).toMatchObject({ digest: made.digest, blobs: made.blobs.length });
    expect(stanza.error).toBeUndefined();
  });

  it('limits: its host is left alone by all who ask as it did until the time it named, others go on', async () => {
    const made = await push(LIMITED, 'first');
    await push(LIMITED, 'second');
    await push(HOST, 'elsewhere');
    const limit = world.faults.host(LIMITED).on({ kind: 'manifest' }).rateLimited({ retryAfter: 3 });
    const first = await world.copied(`${LIMITED}/first:1`);
    const { error } = first.stanza;
    expect(error).toMatchObject({ code: 'KUIK-REG-429', attempts: 1 });
    expect(Date.parse(error!.retryAt!) - Date.parse(error!.at)).toBe(3_000);
    limit.clear();
    const asked = world.faults.log.total({ host: LIMITED }).requests;
    const second = await world.create(`${LIMITED}/second:1`);
    await world.enqueue(second);
    await world.copied(`${HOST}/elsewhere:1`, ({ digest }) => digest !== undefined);
    if (Date.now() < Date.parse(error!.retryAt!)) {
      expect(world.faults.log.total({ host: LIMITED }).requests).toBe(asked);
      expect((await world.find(second.metadata.name))?.status?.cache).toBeUndefined();
    }
    const late = await world.told(second, ({ digest }) => digest !== undefined);
    expect(Date.parse(late.stanza.copiedAt!)).toBeGreaterThanOrEqual(Date.parse(error!.retryAt!));
    await world.enqueue(first, 'Retry');
    expect((await world.told(first, ({ digest }) => digest !== undefined)).stanza.digest).toBe(made.digest);
  });

  it('never answers holds no more than half of the slots: a good image is still cached', async () => {
    const names = ['hang/1', 'hang/2', 'hang/3', 'hang/4'];
    for (const name of names) await push(SILENT, name);
    const good = await push(HOST, 'good');
    const hang = world.faults.host(SILENT).on().hang();
    const hanging = await Promise.all(names.map((name) => world.create(`${SILENT}/${name}:1`)));
    for (const image of hanging) await world.enqueue(image);
    await hang.untilApplied(2);
    const copied = await world.copied(`${HOST}/good:1`);
    expect(copied.stanza.digest).toBe(good.digest);
    const told = await Promise.all(hanging.map((image) => world.told(image, ({ error }) => error !== undefined)));
    expect(told.map(({ stanza }) => stanza.error!.code)).toEqual(names.map(() => 'KUIK-REG-504'));
    const at = told.map(({ stanza }) => Date.parse(stanza.error!.at)).sort((a, b) => a - b);
    expect(at.at(-1)).toBeGreaterThan(Date.parse(copied.stanza.copiedAt!));
    expect(at[2]! - at[0]!).toBeGreaterThan(1_000);
  });
});

describe('an address', () => {
  it.each([
    ['8.8.8.8/app:1', 'refused by configuration'],
    ['169.254.169.254/app:1', 'metadata'],
  ])('that the policy refuses is not dialled: %s', async (reference, why) => {
    const started = performance.now();
    const { stanza } = await world.copied(reference);
    expect(stanza.error).toMatchObject({ code: 'KUIK-REG-530', message: expect.stringContaining(why) });
    expect(performance.now() - started).toBeLessThan(1_500);
  });

  it('that the policy allows is, although it is private', async () => {
    const made = await push(HOST, 'allowed');
    const { repository } = world.faults.backingOf(HOST, 'allowed');
    const { stanza } = await world.copied(`${world.stack.upstream.host}/${repository}:1`);
    expect(stanza).toMatchObject({ digest: made.digest });
  });
});

describe('a part that is away', () => {
  it('the cache registry: named, and the copy is made when it is back', async () => {
    const made = await push(HOST, 'no-cache');
    await world.stack.cache.writer.kill();
    const image = await world.copied(`${HOST}/no-cache:1`);
    expect(image.stanza.error).toMatchObject({ code: 'KUIK-CPY-503', attempts: 1 });
    await world.stack.cache.writer.restart();
    await world.enqueue(image, 'Retry');
    const { stanza } = await world.told(image, ({ digest }) => digest !== undefined);
    expect(stanza).toMatchObject({ digest: made.digest, forUid: image.metadata.uid });
    expect(stanza.error).toBeUndefined();
  });

  it('the API server, in mid-copy: the copy is told later and not made twice', async () => {
    const { made, rule } = await inMidCopy('no-api');
    const image = await world.create(`${SLOW}/no-api:1`);
    await world.enqueue(image);
    await layerAsked(made);
    world.gate.shut();
    rule.clear();
    const { faults } = world;
    await until(async () => (await world.tags(`${SLOW}/no-api`)).length === 1, { what: 'the tag', timeoutMs: 20_000 });
    expect((await world.find(image.metadata.name))?.status?.cache).toBeUndefined();
    world.gate.open();
    const { stanza } = await world.told(image, ({ digest }) => digest !== undefined);
    expect(stanza).toMatchObject({ digest: made.digest, blobs: made.blobs.length, bytes: made.bytes });
    expect(faults.log.requests().filter(({ reference }) => reference === made.blobs.at(-1)!.digest)).toHaveLength(1);
  });

  it('NATS: copies go on, and are told in the resource', async () => {
    const made = await push(HOST, 'no-nats');
    await world.stack.nats.kill();
    const image = await world.copied(`${HOST}/no-nats:1`);
    expect(image.stanza.digest).toBe(made.digest);
    await world.stack.nats.restart();
    const next = await push(HOST, 'nats-again');
    const after = await world.copied(`${HOST}/nats-again:1`);
    expect(after.stanza.digest).toBe(next.digest);
    await until(
      async () => {
        await world.enqueue(after);
        return (await world.state(after))?.digest === next.digest;
      },
      { what: 'states to be announced again', everyMs: 500 },
    );
  });
});

describe('an object in mid-copy', () => {
  it('that is deleted is told nothing', async () => {
    const { made, rule } = await inMidCopy('deleted');
    const image = await world.create(`${SLOW}/deleted:1`);
    await world.enqueue(image);
    await layerAsked(made);
    await world.api.delete(`/apis/kuik.enix.io/v1alpha1/cachedimages/${image.metadata.name}`);
    rule.clear();
    await until(async () => (await world.tags(`${SLOW}/deleted`)).length === 1, {
      what: 'the copy',
      timeoutMs: 20_000,
    });
    await until(async () => (await copier.metric('kuik_copies_active')) === 0, { what: 'the job to end' });
    expect(await world.find(image.metadata.name)).toBeUndefined();
    expect(await world.state(image)).toBeUndefined();
  });

  it('that is made anew has its own copy, told from what is there', async () => {
    const { made, rule } = await inMidCopy('anew');
    const image = await world.create(`${SLOW}/anew:1`);
    await world.enqueue(image);
    await layerAsked(made);
    await world.api.delete(`/apis/kuik.enix.io/v1alpha1/cachedimages/${image.metadata.name}`);
    const anew = await world.create(`${SLOW}/anew:1`, image.metadata.name);
    rule.clear();
    await until(async () => (await world.tags(`${SLOW}/anew`)).length === 1, { what: 'the copy', timeoutMs: 20_000 });
    await until(async () => (await copier.metric('kuik_copies_active')) === 0, { what: 'the job to end' });
    expect((await world.find(anew.metadata.name))?.status?.cache).toBeUndefined();
    const before = blobReads(made).length;
    await world.enqueue(anew);
    const { stanza } = await world.told(anew, ({ digest }) => digest !== undefined);
    expect(stanza).toMatchObject({ digest: made.digest, bytes: made.bytes, blobs: made.blobs.length });
    expect(blobReads(made)).toHaveLength(before);
  });
});

describe('two workers', () => {
  it('one is closed in mid-copy: the other finishes, and what was finished is not sent again', async () => {
    await copier.close();
    const first = await world.start({ drain: '300ms' });
    const { made, rule } = await inMidCopy('handed-over');
    const small = made.blobs.filter(({ digest }) => digest !== made.blobs.at(-1)!.digest);
    const image = await world.create(`${SLOW}/handed-over:1`);
    await world.enqueue(image);
    await layerAsked(made);
    const second = await world.start();
    await until(
      async () => {
        const heads = small.map(({ digest }) =>
          world.readCache(`${SLOW}/handed-over`, `blobs/${digest}`, 'HEAD').then(({ status }) => status),
        );
        return (await Promise.all(heads)).every((status) => status === 200);
      },
      { what: 'the small blobs to be there' },
    );
    await first.close();
    rule.clear();
    const { stanza } = await world.told(image, ({ digest }) => digest !== undefined);
    expect(stanza).toMatchObject({ digest: made.digest, blobs: made.blobs.length, sharedBlobs: small.length });
    const ended = () => second.metric('kuik_copies_total', 'result="copied"');
    await until(async () => (await ended()) === 1, { what: 'the second worker to report its copy' });
    for (const { digest } of small)
      expect(blobReads(made).filter(({ reference }) => reference === digest)).toHaveLength(1);
  });
});
