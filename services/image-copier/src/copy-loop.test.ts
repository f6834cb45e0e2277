import { describe, expect, it } from '@jest/globals';
import type { CachedImage, CacheStanza, CopyJob } from '@kuik/contracts';
import { parseReference } from '@kuik/image';
import type { Job, Payer } from '@kuik/queue';
import { silentLogger } from '@kuik/runtime';
import { type CopyParts, workOn } from './copy-loop.ts';
import { type CopyResult, described } from './copy-stanza.ts';
import { decideJob } from './decide.ts';
import { type CopyFailure, judgeFailure } from './judge.ts';
import { sameTarget, UnreadImages } from './unread-images.ts';

const DIGEST = `sha256:${'cd'.repeat(32)}`;
const NOW = Date.parse('2026-11-21T10:00:00Z');
const REFERENCE = parseReference('a.b/c:1');

const image = (
  over: Partial<CachedImage['metadata']> = {},
  spec = 'shop.example/app:1',
  status: CachedImage['status'] = {},
): CachedImage => ({
  metadata: { name: 'app', uid: 'u1', resourceVersion: '7', ...over },
  spec: { sourceImage: spec },
  status,
});
const payload: CopyJob = {
  name: 'app',
  uid: 'u1',
  reference: 'shop.example/app:1',
  host: 'shop.example',
  reason: 'NotCached',
};

const result: CopyResult = {
  digest: DIGEST,
  mediaType: 'application/vnd.oci.image.index.v1+json',
  bytes: 100,
  bytesCopied: 60,
  platforms: ['linux/amd64', 'linux/arm64'],
  platformsOnDemand: [],
  platformsAbsent: [],
  platformsPulled: [],
  blobs: { total: 4, copied: 2, mounted: 1, present: 1 },
};

interface World {
  object: CachedImage | undefined;
  copy: CopyParts['copy'];
  lost: CopyParts['lost'];
  held: CopyParts['held'];
  /** Whom upstream counts its requests for. */
  account: string | undefined;
  waitMs: number;
  /** The same, for what nobody waits for. */
  backgroundMs: number;
  reason: string;
  writeFails: boolean | 'for good';
  /** Made anew while copying; `late`: between our look and our write. */
  replacedWhileCopying: boolean | 'late';
  deletedWhileCopying: boolean;
  copyTakesMs: number;
  /** The job's own word that nothing but the reference matters, of this version. */
  fresh: string | undefined;
  takenOver: boolean;
  unread: UnreadImages;
}

async function run(bend: (world: World) => void = () => undefined, signal = new AbortController().signal) {
  const world: World = {
    object: image(),
    copy: async () => result,
    lost: async () => false,
    held: async () => undefined,
    account: undefined,
    waitMs: 0,
    backgroundMs: 0,
    reason: payload.reason,
    writeFails: false,
    replacedWhileCopying: false,
    deletedWhileCopying: false,
    copyTakesMs: 0,
    fresh: undefined,
    takenOver: false,
    unread: new UnreadImages(),
  };
  let elapsedMs = 0;
  bend(world);
  let reads = 0;
  const places = { taken: 0, left: 0 };
  const seen = {
    stanzas: [] as (CacheStanza | undefined)[],
    announced: [] as string[],
    payers: [] as Payer[],
    parked: [] as [string, number][],
    spent: [] as [Payer, number][],
    ended: [] as string[],
  };
  const parts: CopyParts = {
    read: async () => {
      reads += 1;
      if (reads === 1) return world.object;
      if (world.deletedWhileCopying) return undefined;
      return world.replacedWhileCopying === true ? image({ uid: 'u2' }) : world.object;
    },
    write: async (_name, stanza) => {
      if (world.writeFails === 'for good') throw new InvalidStanza('refused by the schema');
      if (world.writeFails) throw new Error('API server away');
      seen.stanzas.push(stanza);
      const uid = world.replacedWhileCopying === 'late' ? 'u2' : 'u1';
      return world.object && { ...world.object, metadata: { ...world.object.metadata, uid, resourceVersion: '8' } };
    },
    writeUnchanged: async ({ metadata: { name, resourceVersion } }, stanza) => {
      if (world.fresh === undefined) throw new Error('a copy that ends at once is not told of');
      return resourceVersion === world.object?.metadata.resourceVersion ? parts.write(name, stanza) : undefined;
    },
    progressAfterMs: 60_000,
    progressEveryMs: 60_000,
    refusedForGood: (error) => error instanceof InvalidStanza,
    copy: (...call) => {
      elapsedMs += world.copyTakesMs;
      return world.copy(...call);
    },
    account: async () => world.account,
    lost: world.lost,
    held: (target) => world.held(target),
    failureOf: (error) =>
      error instanceof Refusal
        ? {
            code: error.code,
            message: error.message,
            side: error.side,
            ...(world.account === undefined ? {} : { account: world.account }),
          }
        : undefined,
    announce: async (written) => void seen.announced.push(written.metadata.resourceVersion),
    pacer: {
      place: async () => {
        places.taken += 1;
        return { leave: async () => void (places.left += 1) };
      },
      take: async (payer, { floor = 0 } = {}) => {
        seen.payers.push(payer);
        return floor > 0 ? world.backgroundMs : world.waitMs;
      },
      limited: async ({ host, account }, { retryAfterMs = 60_000 }) => {
        seen.parked.push([account === undefined ? host : `${host} ${account}`, NOW + retryAfterMs]);
        return retryAfterMs;
      },
      spent: async (...word) => void seen.spent.push(word),
    },
    unread: world.unread,
    backgroundFloor: 0.05,
    clock: { now: () => NOW, monotonic: () => elapsedMs },
    log: silentLogger,
    count: {
      ended: (outcome, code) => void seen.ended.push(`${outcome}:${code}`),
      bytes: () => undefined,
      progress: () => undefined,
    },
  };
  const job: Job<CopyJob> = {
    id: 'j1',
    payload: { ...payload, reason: world.reason, ...(world.fresh === undefined ? {} : { fresh: world.fresh }) },
    signal,
    takenOver: world.takenOver,
    progress: async () => undefined,
  };
  // However it ends.
  const outcome = await workOn(job, parts).finally(() => expect(places).toEqual({ taken: 1, left: 1 }));
  return { outcome, reads, ...seen };
}

class InvalidStanza extends Error {}

class Refusal extends Error {
  readonly code: string;
  readonly side: 'upstream' | 'cache';
  constructor(code: string, side: 'upstream' | 'cache' = 'upstream') {
    super(`refused: ${code}`);
    this.code = code;
    this.side = side;
  }
}

describe('workOn', () => {
  const at = (minute: number) => new Date(NOW - minute * 60_000).toISOString();
  const old = (number: number) => `sha256:${String(number).padStart(64, '0')}`;
  const longHistory = Array.from({ length: 10 }, (_, index) => ({ digest: old(index), at: at(index + 1) }));
  it.each<[string, Partial<CacheStanza>, CacheStanza['history']]>([
    ['a first copy', {}, undefined],
    ['the same digest again', { digest: DIGEST }, undefined],
    ['the same digest again, with a history', { digest: DIGEST, history: longHistory }, longHistory],
    ['another digest', { digest: old(99) }, [{ digest: old(99), at: at(0) }]],
    [
      'another digest, the eleventh',
      { digest: old(99), history: longHistory },
      [{ digest: old(99), at: at(0) }, ...longHistory.slice(0, 9)],
    ],
    [
      'a digest that the tag comes back to',
      { digest: old(99), history: [{ digest: DIGEST, at: at(5) }, ...longHistory.slice(0, 1)] },
      [{ digest: old(99), at: at(0) }, ...longHistory.slice(0, 1)],
    ],
  ])('keeps what the tag named before: %s', async (_what, cache, history) => {
    const { stanzas } = await run((world) => {
      world.object = image({}, 'shop.example/app:1', { cache: { forUid: 'u1', ...cache } });
    });
    expect(stanzas.map((stanza) => stanza?.history)).toEqual([history]);
  });

  it('records what the image was pinned to', async () => {
    const pin = `sha256:${'ef'.repeat(32)}`;
    const { stanzas } = await run((world) => {
      world.object = { ...image(), spec: { sourceImage: 'shop.example/app:1', pin } };
    });
    expect(stanzas.map((stanza) => stanza?.pinned)).toEqual([pin]);
  });

  it.each<[string, Partial<CacheStanza>, string, string | undefined]>([
    ['a copy asks', {}, DIGEST, undefined],
    ['a look for what the cache lacks does not', { damaged: [old(1)] }, DIGEST, at(5)],
    ['nor does the next one', { damaged: [old(1)], askedAt: at(9) }, DIGEST, at(9)],
    ['a look that had to take what the tag names now does', { damaged: [old(1)], askedAt: at(9) }, old(2), undefined],
  ])('keeps when upstream was asked what the name stands for: %s', async (_what, cache, digest, askedAt) => {
    const { stanzas } = await run((world) => {
      const before = { forUid: 'u1', digest: DIGEST, copiedAt: at(5), ...cache };
      world.object = image({}, 'shop.example/app:1', { cache: before });
      world.copy = async () => ({ ...result, digest });
    });
    expect(stanzas.map((stanza) => [stanza?.copiedAt, stanza?.askedAt])).toEqual([[at(0), askedAt]]);
  });

  it('copies, records, announces', async () => {
    const { outcome, stanzas, announced, ended } = await run();
    expect(outcome).toEqual({ do: 'done' });
    expect(stanzas).toEqual([
      {
        forUid: 'u1',
        digest: DIGEST,
        mediaType: result.mediaType,
        tag: '1',
        platforms: result.platforms,
        bytes: 100,
        blobs: 4,
        sharedBlobs: 2,
        copiedAt: '2026-11-21T10:00:00.000Z',
      },
    ]);
    expect(announced).toEqual(['8']);
    expect(ended).toEqual(['copied:']);
  });

  describe('of a job that says all of its object', () => {
    const copies = (world: World): { count: number } => {
      const seen = { count: 0 };
      world.copy = async () => ((seen.count += 1), result);
      return seen;
    };

    it('reads nothing, and announces what its write returned', async () => {
      const { reads, stanzas, announced } = await run((world) => (world.fresh = '7'));
      expect(reads).toBe(0);
      expect(stanzas).toMatchObject([{ digest: DIGEST }]);
      expect(announced).toEqual(['8']);
    });

    it.each<[string, (world: World) => void, { reads: number; copied: number; told: number; ended: string[] }]>([
      [
        'is another version, but asks for the same',
        (world) => (world.object = image({ resourceVersion: '9' })),
        { reads: 1, copied: 1, told: 1, ended: ['copied:'] },
      ],
      [
        'was pinned meanwhile',
        (world) =>
          (world.object = {
            ...image({ resourceVersion: '9' }),
            spec: { sourceImage: 'shop.example/app:1', pin: `sha256:${'ef'.repeat(32)}` },
          }),
        { reads: 2, copied: 2, told: 1, ended: ['copied:'] },
      ],
      [
        'is gone',
        (world) => (world.object = undefined),
        { reads: 2, copied: 1, told: 0, ended: ['skipped:ObjectGone'] },
      ],
      [
        'was made anew',
        (world) => (world.object = image({ uid: 'u2', resourceVersion: '9' })),
        { reads: 2, copied: 1, told: 0, ended: ['skipped:ObjectReplaced'] },
      ],
      [
        'may have been written by another worker',
        (world) => (world.takenOver = true),
        { reads: 1, copied: 1, told: 1, ended: ['copied:'] },
      ],
    ])('which %s', async (_name, bend, expected) => {
      let seen = { count: 0 };
      const { reads, stanzas, ended } = await run((world) => {
        world.fresh = '7';
        seen = copies(world);
        bend(world);
      });
      expect({ reads, copied: seen.count, told: stanzas.length, ended }).toEqual(expected);
    });

    it('tells a failure in the same way', async () => {
      const { reads, stanzas } = await run((world) => {
        world.fresh = '7';
        world.copy = () => Promise.reject(new Refusal('timeout'));
      });
      expect(reads).toBe(0);
      expect(stanzas).toMatchObject([{ forUid: 'u1', error: { code: 'KUIK-REG-504', attempts: 1 } }]);
    });

    it('waits for an API server that is away, and copies nothing more before that can be read', async () => {
      const unread = new UnreadImages();
      const { outcome } = await run((world) => {
        world.fresh = '7';
        world.writeFails = true;
        world.unread = unread;
      });
      expect(outcome).toMatchObject({ do: 'park', reason: 'ApiServerUnavailable' });
      const { reads, stanzas } = await run((world) => {
        world.fresh = '7';
        world.unread = unread;
      });
      expect([reads, stanzas.length]).toEqual([1, 1]);
      expect(unread.of({ payload: { ...payload, fresh: '7' }, takenOver: false }, 60_000)).toBeDefined();
    });
  });

  it('remembers when upstream showed it to a copy that brought no credential', async () => {
    const shown = Date.parse('2026-11-21T09:59:00Z');
    const before = { forUid: 'u1', publicAt: '2026-11-20T00:00:00.000Z' };
    const publicAt = async (status: CachedImage['status'], now?: number) => {
      const { stanzas } = await run((world) => {
        world.object = image({}, undefined, status);
        world.copy = async () => ({ ...result, ...(now === undefined ? {} : { publicAt: now }) });
      });
      return stanzas[0]!.publicAt;
    };
    expect(await publicAt({})).toBeUndefined();
    expect(await publicAt({}, shown)).toBe('2026-11-21T09:59:00.000Z');
    expect(await publicAt({ cache: before })).toBe(before.publicAt);
    expect(await publicAt({ cache: before }, shown)).toBe('2026-11-21T09:59:00.000Z');
  });

  it('remembers which forced update it answered', async () => {
    const { stanzas } = await run(
      (world) => (world.object = image({ annotations: { 'kuik.enix.io/force-update': 'now' } })),
    );
    expect(stanzas[0]!.forced).toBe('now');
  });

  it('keeps what the cache holds when a later copy fails, and counts failures in a row', async () => {
    const cache: CacheStanza = {
      forUid: 'u1',
      digest: DIGEST,
      tag: '1',
      error: { code: 'x', message: 'y', at: 'z', attempts: 2 },
    };
    const { outcome, stanzas, ended, parked } = await run((world) => {
      world.object = image({}, 'shop.example/app:1', { cache });
      world.copy = () => Promise.reject(new Refusal('timeout'));
    });
    expect(outcome).toEqual({ do: 'done' });
    expect(stanzas[0]).toMatchObject({ digest: DIGEST, error: { code: 'KUIK-REG-504', attempts: 3 } });
    expect(ended).toEqual(['failed:KUIK-REG-504']);
    expect(parked).toEqual([]);
  });

  const removal = { forUid: 'u1', condemnedAt: '2026-11-20T10:00:00Z', reason: 'Unused', epoch: 1 };

  it.each<[string, NonNullable<CachedImage['status']>, Refusal['side'], string | undefined]>([
    ['holds what was never copied for this object', {}, 'upstream', DIGEST],
    ['is not believed when the cache itself refused', {}, 'cache', undefined],
    ['is not looked at while gc takes it away', { removal }, 'upstream', undefined],
  ])('that upstream refuses: the cache %s', async (_name, status, side, digest) => {
    const { stanzas } = await run((world) => {
      world.object = image({}, undefined, status);
      world.copy = () => Promise.reject(new Refusal('not-found', side));
      world.held = async () => ({ ...result, bytesCopied: 0 });
    });
    expect(stanzas[0]?.digest).toBe(digest);
    // Nobody copied it now, so it is no more than what gc may take away.
    expect(stanzas[0]).not.toHaveProperty('copiedAt');
    expect(stanzas[0]?.error).toMatchObject({ attempts: 1 });
  });

  it.each<[string, CopyParts['lost'], string | undefined]>([
    ['says that it is not cached when the cache lost it', async () => true, undefined],
    ['keeps what the cache holds', async () => false, DIGEST],
    ['keeps it when the cache cannot be asked', () => Promise.reject(new Error('away')), DIGEST],
  ])('that cannot refill what a node missed %s', async (_name, lost, digest) => {
    const { stanzas } = await run((world) => {
      world.object = image({}, 'shop.example/app:1', { cache: { forUid: 'u1', digest: DIGEST, tag: '1' } });
      world.copy = () => Promise.reject(new Refusal('not-found'));
      world.lost = lost;
    });
    expect(stanzas[0]?.digest).toBe(digest);
    expect(stanzas[0]?.error?.code).toBe('KUIK-REG-404');
  });

  it('parks the host, not the job, when upstream limits', async () => {
    const { outcome, parked, stanzas } = await run(
      (world) => (world.copy = () => Promise.reject(new Refusal('rate-limited'))),
    );
    expect(outcome).toEqual({ do: 'done' });
    expect(parked).toEqual([['shop.example', NOW + 60_000]]);
    expect(stanzas[0]!.error!.retryAt).toBe('2026-11-21T10:01:00.000Z');
  });

  it('is of the pace of whoever pays for it, who is parked alone', async () => {
    const { payers, parked } = await run((world) => {
      world.account = 'alice';
      world.copy = () => Promise.reject(new Refusal('rate-limited'));
    });
    expect(payers).toEqual([{ host: 'shop.example', account: 'alice' }]);
    expect(parked).toEqual([['shop.example alice', NOW + 60_000]]);
  });

  it('parks the host, and is done, when upstream limits the look for what refers to the image', async () => {
    const { stanzas, parked } = await run((world) => {
      const looked = { requests: 3, failure: new Refusal('rate-limited') };
      world.copy = () => Promise.resolve({ ...result, looked });
    });
    expect(parked).toEqual([['shop.example', NOW + 60_000]]);
    expect(stanzas[0]).toMatchObject({ digest: DIGEST });
    expect(stanzas[0]!.error).toBeUndefined();
  });

  it.each([
    [9, []],
    [35, [[{ host: 'shop.example', account: 'alice' }, 3]]],
  ])('what the look for it took is spent: %d requests', async (requests, expected) => {
    const { spent, parked } = await run((world) => {
      world.account = 'alice';
      world.copy = () => Promise.resolve({ ...result, looked: { requests, failure: new Refusal('server-error') } });
    });
    expect(spent).toEqual(expected);
    expect(parked).toEqual([]);
  });

  it('waits for its host without copying', async () => {
    let copies = 0;
    const { outcome, reads } = await run((world) => {
      world.waitMs = 700;
      world.copy = () => {
        copies += 1;
        return Promise.resolve(result);
      };
    });
    expect(outcome).toEqual({ do: 'park', afterMs: 700, reason: 'HostPaced' });
    expect([copies, reads]).toEqual([0, 0]);
  });

  it('leaves what little is left of a quota to others when nobody waits for it', async () => {
    const because = (reason: string) => run((world) => Object.assign(world, { backgroundMs: 900, reason }));
    expect((await because('UpdateDue')).outcome).toEqual({ do: 'park', afterMs: 900, reason: 'HostPaced' });
    expect((await because('NotCached')).outcome).toEqual({ do: 'done' });
  });

  it('does not lose a finished copy when the API server is away', async () => {
    const { outcome } = await run((world) => (world.writeFails = true));
    expect(outcome).toMatchObject({ do: 'park', reason: 'ApiServerUnavailable' });
  });

  it('does not repeat what the API server refuses for good', async () => {
    await expect(run((world) => (world.writeFails = 'for good'))).rejects.toThrow('refused by the schema');
  });

  it.each<[string, (world: World) => void]>([
    ['made anew', (world) => (world.replacedWhileCopying = true)],
    ['deleted', (world) => (world.deletedWhileCopying = true)],
  ])('tells nothing to an object that was %s in the course of a long copy', async (_name, bend) => {
    const { outcome, stanzas, announced } = await run((world) => {
      world.copyTakesMs = 1_001;
      bend(world);
    });
    expect({ outcome, stanzas, announced }).toEqual({ outcome: { do: 'done' }, stanzas: [], announced: [] });
  });

  it('withdraws a stanza that met an object made anew all the same', async () => {
    const { stanzas, announced } = await run((world) => (world.replacedWhileCopying = 'late'));
    expect(stanzas).toHaveLength(2);
    expect(stanzas[1]).toBeUndefined();
    expect(announced).toEqual([]);
  });

  it.each([
    [1_000, 1],
    [1_001, 2],
  ])('looks at the object again after a copy of %i ms: %i reads', async (ms, looks) => {
    expect((await run((world) => (world.copyTakesMs = ms))).reads).toBe(looks);
  });

  it('leaves an aborted job to another worker', async () => {
    const abort = new AbortController();
    const working = run((world) => {
      world.copy = () => {
        abort.abort();
        return Promise.reject(new Error('aborted'));
      };
    }, abort.signal);
    await expect(working).rejects.toThrow('aborted');
  });

  it('does not hide a mistake of ours', async () => {
    await expect(run((world) => (world.copy = () => Promise.reject(new TypeError('bug'))))).rejects.toThrow('bug');
  });
});

describe('decideJob', () => {
  it.each<[string, CachedImage | undefined, string]>([
    ['gone', undefined, 'ObjectGone'],
    ['made anew', image({ uid: 'u2' }), 'ObjectReplaced'],
    ['being deleted', image({ deletionTimestamp: '2026-01-01T00:00:00Z' }), 'ObjectDeleting'],
    ['no reference', image({}, '@@@'), 'NotAReference'],
    ['no place in the cache', image({}, '[fd00::1]:5000/a'), 'NotEncodable'],
  ])('skips what is %s', (_name, object, reason) => expect(decideJob(payload, object)).toEqual({ do: 'skip', reason }));

  it.each([
    ['nginx', 'latest', 'docker.io/library/nginx', 'latest'],
    [`a.b:5000/c:1@${DIGEST}`, DIGEST, 'a.b__5000/c', `kuik-sha256-${'cd'.repeat(32)}`],
  ])('%s is asked for by %s', (source, upstreamReference, cacheRepository, cacheTag) => {
    expect(decideJob(payload, image({}, source))).toMatchObject({
      do: 'copy',
      target: { upstreamReference, cacheRepository, cacheTag },
    });
  });
});

describe('decideJob and a copy that was begun', () => {
  it.each([
    ['never tried', image(), false, false],
    ['a silent worker had it', image(), true, true],
    ['tried before', image({}, undefined, { cache: { forUid: 'u1' } }), false, true],
  ])('%s', (_name, object, takenOver, begun) => {
    expect(decideJob(payload, object, takenOver)).toHaveProperty('target.begun', begun);
  });
});

describe('decideJob and a pin', () => {
  it.each([
    [DIGEST, { digest: DIGEST, tag: `kuik-sha256-${'cd'.repeat(32)}` }],
    [undefined, undefined],
    ['no digest', undefined],
  ])('%s is anchored by %j', (pin, anchor) => {
    const object = image();
    const spec = { ...object.spec, ...(pin === undefined ? {} : { pin }) };
    const verdict = decideJob(payload, { ...object, spec });
    expect(verdict.do === 'copy' && verdict.target.pin).toEqual(anchor);
  });
});

describe('decideJob and content that a node missed', () => {
  const cache = { forUid: 'u1', digest: DIGEST, tag: '1' };
  it.each([
    ['is verified', { cache }, true, DIGEST],
    ['is not when nobody asks', { cache }, undefined, undefined],
    ['is copied anew when the resource holds nothing', {}, true, undefined],
    ['is copied anew when the stanza speaks of another object', { cache: { ...cache, forUid: 'u0' } }, true, undefined],
  ])('%s', (_name, status, verify, digest) => {
    const job = { ...payload, ...(verify === undefined ? {} : { verify }) };
    const verdict = decideJob(job, image({}, 'shop.example/app:1', status));
    expect(verdict.do === 'copy' && verdict.target.verify).toBe(digest);
  });

  it('follows the tag when a person forces a copy as well', () => {
    const annotations = { 'kuik.enix.io/force-update': 'true' };
    const verdict = decideJob({ ...payload, verify: true }, image({ annotations }, 'shop.example/app:1', { cache }));
    expect(verdict.do === 'copy' && [verdict.target.verify, verdict.target.thorough]).toEqual([undefined, true]);
  });
});

describe('decideJob and a copy that the resource describes', () => {
  const whole = { digest: DIGEST, mediaType: 'm', bytes: 9, blobs: 2, platforms: ['linux/amd64'] };
  const cache: CacheStanza = { forUid: 'u1', tag: '1', ...whole };
  const error = { code: 'KUIK-CPY-500', message: 'no', at: '2026-11-21T10:00:00Z' };
  const others: CacheStanza = { ...cache, platformsOnDemand: ['linux/arm64'] };
  const condemned = { forUid: 'u1', condemnedAt: '2026-11-21T10:00:00Z', reason: 'Unused', epoch: 1 };
  it.each<[string, CacheStanza, object | undefined]>([
    ['in full', cache, { ...whole, platformsOnDemand: [] }],
    ['with platforms on demand', others, { ...whole, platformsOnDemand: ['linux/arm64'] }],
    ['in part', { forUid: 'u1', tag: '1', digest: DIGEST }, undefined],
    ['under another tag', { ...cache, tag: '2' }, undefined],
    ['as damaged', { ...cache, damaged: [DIGEST] }, undefined],
    ['before a failure', { ...cache, error }, undefined],
    ['of another object', { ...cache, forUid: 'u0' }, undefined],
  ])('%s', (_name, stanza, described) => {
    const verdict = decideJob(payload, image({}, 'shop.example/app:1', { cache: stanza }));
    expect(verdict.do === 'copy' && verdict.target.described).toEqual(described);
  });

  it.each([
    ['as whole', [], true],
    ['without a platform that upstream lacked', ['linux/arm64'], false],
  ])('%s, by the copy before', (_name, platformsAbsent, isRelied) => {
    const first = decideJob(payload, image());
    const told = first.do === 'copy' && described(image(), first.target, { ...result, platformsAbsent });
    const verdict = decideJob(payload, image({}, 'shop.example/app:1', { cache: told as CacheStanza }));
    expect(verdict.do === 'copy' && verdict.target.described !== undefined).toBe(isRelied);
  });

  it.each<[string, boolean, CachedImage['status']]>([
    ['another worker had the job before', true, { cache }],
    ['gc had begun to take it away', false, { cache, removal: { ...condemned, removedAt: '2026-11-21T11:00:00Z' } }],
  ])('is not relied on when %s', (_name, takenOver, status) => {
    const verdict = decideJob(payload, image({}, 'shop.example/app:1', status), takenOver);
    expect(verdict.do === 'copy' && 'described' in verdict.target).toBe(false);
  });

  it('is relied on while it is only condemned', () => {
    const verdict = decideJob(payload, image({}, 'shop.example/app:1', { cache, removal: condemned }));
    expect(verdict.do === 'copy' && 'described' in verdict.target).toBe(true);
  });

  it('is no other target than one of which nothing is known', () => {
    const [known, unknown] = [cache, undefined].map((stanza) =>
      decideJob(payload, image({}, 'shop.example/app:1', stanza && { cache: stanza })),
    );
    if (known?.do !== 'copy' || unknown?.do !== 'copy') throw new Error('not copied');
    expect(sameTarget(known.target, unknown.target)).toBe(true);
  });
});

describe('decideJob and a forced update', () => {
  it.each([
    [{}, false],
    [{ 'kuik.enix.io/force-update': 'true' }, true],
    [{ 'cachedimage.kuik.enix.io/forceUpdate': 'true' }, true],
  ])('%j: thorough is %s', (annotations, thorough) =>
    expect(decideJob(payload, image({ annotations }))).toMatchObject({ target: { thorough } }),
  );
});

describe('judgeFailure', () => {
  it.each([
    ['unauthorized', 'KUIK-REG-401'],
    ['not-found', 'KUIK-REG-404'],
    ['refused', 'KUIK-REG-503'],
    ['dns', 'KUIK-REG-503'],
    ['digest-mismatch', 'KUIK-REG-520'],
    ['address-refused', 'KUIK-REG-530'],
    ['something-new', 'KUIK-REG-502'],
  ])('%s is %s', (code, expected) => {
    const verdict = judgeFailure({ code, message: 'm', side: 'upstream' }, REFERENCE, undefined, new Date(NOW));
    expect(verdict.error).toMatchObject({ code: expected, attempts: 1, at: '2026-11-21T10:00:00.000Z' });
    expect(verdict.error.message).toContain('a.b/c:1');
    expect(verdict.error.retryAt).toBeUndefined();
  });

  it('blames the cache for what the cache refused, even when it limits', () => {
    const verdict = judgeFailure(
      { code: 'rate-limited', message: 'm', side: 'cache' },
      REFERENCE,
      undefined,
      new Date(NOW),
    );
    expect(verdict.error.code).toBe('KUIK-CPY-503');
    expect(verdict.error.retryAt).toBeUndefined();
  });

  it("takes upstream's word for when to come back", () => {
    const verdict = judgeFailure(
      { code: 'rate-limited', message: 'm', side: 'upstream', retryAfterMs: 5000 },
      REFERENCE,
      undefined,
      new Date(NOW),
    );
    expect(verdict.error.retryAt).toBe('2026-11-21T10:00:05.000Z');
  });

  it.each([
    [0, 0, 1_000],
    [0, 3, 8_000],
    [0, 50, 60_000],
    [120_000, 50, 120_000],
  ])('Retry-After of %i ms after %i failures waits %i ms', (retryAfterMs, attempts, waits) => {
    const before = { forUid: 'u1', error: { code: 'x', message: 'y', at: 'z', attempts } };
    const failure = { code: 'rate-limited', message: 'm', side: 'upstream', retryAfterMs } as const;
    const { error } = judgeFailure(failure, REFERENCE, before, new Date(NOW));
    expect(Date.parse(error.retryAt!)).toBe(NOW + waits);
  });

  it.each([
    ['unauthorized', 'brokerUnavailable', 'KUIK-CRD-503'],
    ['forbidden', 'secretInvalid', 'KUIK-CRD-422'],
    ['not-found', 'brokerUnavailable', 'KUIK-CRD-503'],
    ['not-found', 'brokerDenied', 'KUIK-REG-404'],
    ['server-error', 'brokerUnavailable', 'KUIK-REG-502'],
  ] as const)('%s while the credential is %s is %s', (code, failure, expected) => {
    const broker = { failure, message: 'why there is none' };
    const { error } = judgeFailure(
      { code, message: 'm', side: 'upstream', broker },
      REFERENCE,
      undefined,
      new Date(NOW),
    );
    expect(error.code).toBe(expected);
    expect(error.message).toContain('why there is none');
  });

  it.each<[string, Partial<CopyFailure>, string]>([
    [
      'a refusal of a pull secret',
      { code: 'unauthorized', message: 'cannot read a.b/c:1: status 401', tried: ['acme/regcred'] },
      'cannot read a.b/c:1: the registry refused every credential (pull secret acme/regcred; anonymous): status 401. ' +
        'Check that the login in secret acme/regcred is valid and can read c.',
    ],
    [
      'a refusal of several, found by the broker',
      {
        code: 'unauthorized',
        message:
          'cannot access a.b/c: every credential was refused (0 given, and anonymous): token from https://a.b/t: status 401',
        tried: ['acme/regcred', 'acme/default-sa'],
        broker: { failure: 'unauthorized', message: 'not repeated' },
      },
      'cannot read a.b/c:1: the registry refused every credential (pull secrets acme/regcred, acme/default-sa; anonymous): ' +
        'token from https://a.b/t: status 401. Check that the login in one of these secrets is valid and can read c.',
    ],
    [
      'a refusal that nobody has a secret for',
      { code: 'forbidden', message: 'cannot read a.b/c:1: status 403, DENIED: members only', tried: [] },
      'cannot read a.b/c:1: the registry refused anonymous access, and no pull secret for a.b was found: status 403, DENIED: members only. ' +
        'Add a pull secret for a.b to the pod or its service account, or check the name.',
    ],
    [
      'a refusal with a secret that cannot be read',
      {
        code: 'unauthorized',
        message: 'cannot read a.b/c:1: status 401',
        tried: [],
        unread: [{ name: 'acme/x', mistake: 'its .dockerconfigjson is not JSON' }],
      },
      'cannot read a.b/c:1: the registry refused anonymous access, and a pull secret gave no login (secret acme/x: its .dockerconfigjson is not JSON): ' +
        'status 401. Fix secret acme/x, and check that its login can read c.',
    ],
    [
      'a refusal of one secret, with others that cannot be read',
      {
        code: 'forbidden',
        message: 'cannot read a.b/c:1: status 403',
        tried: ['acme/regcred'],
        unread: [
          { name: 'acme/x', mistake: 'has no key .dockercfg' },
          { name: 'acme/y', mistake: 'kuik may not read it' },
        ],
      },
      'cannot read a.b/c:1: the registry refused every credential (pull secret acme/regcred; anonymous), and a pull secret gave no login ' +
        '(secret acme/x: has no key .dockercfg, secret acme/y: kuik may not read it): status 403. Fix secret acme/x, and check that its login can read c.',
    ],
    [
      'a broken secret',
      {
        code: 'unauthorized',
        message: 'cannot read a.b/c:1: status 401',
        broker: { failure: 'secretInvalid', message: 'secret acme/x is not JSON (tried: anonymous)' },
      },
      'cannot read a.b/c:1: secret acme/x is not JSON (tried: anonymous); without it: status 401. Fix the secret named in the message.',
    ],
    [
      'what the broker met as well, once',
      {
        code: 'dns',
        message: 'cannot connect to a.b: cannot resolve a.b: ENOTFOUND',
        broker: {
          failure: 'upstreamUnreachable',
          message: 'no credential for a.b/c: cannot connect to a.b: cannot resolve a.b: ENOTFOUND',
        },
      },
      'cannot read a.b/c:1: cannot connect to a.b: cannot resolve a.b: ENOTFOUND. Check that the registry is up and that the cluster can reach it.',
    ],
    [
      'a pin that nobody has',
      { code: 'not-found', message: 'cannot read a.b/c@sha256:1: status 404', pin: 'sha256:1' },
      'cannot keep sha256:1 for a.b/c:1: status 404. Correct spec.pin of the CachedImage, or take it off: until then every pull of the tag asks for that digest.',
    ],
    [
      'a certificate',
      { code: 'tls', message: 'GET https://a.b/v2/: self-signed certificate' },
      'cannot read a.b/c:1: GET https://a.b/v2/: self-signed certificate. Set registries["a.b"].ca.',
    ],
    [
      "the cache's own",
      { code: 'server-error', side: 'cache', message: 'status 500' },
      "cannot store a.b/c:1: the cache registry does not take it: status 500. See the cache registry's log and storage.",
    ],
  ])('tells what, why and what to do: %s', (_name, failure, message) => {
    const whole: CopyFailure = { code: 'server-error', side: 'upstream', message: 'm', ...failure };
    expect(judgeFailure(whole, REFERENCE, undefined, new Date(NOW)).error.message).toBe(message);
  });
});
