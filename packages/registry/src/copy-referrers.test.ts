import { beforeEach, describe, expect, it } from '@jest/globals';
import { cosignTags, referrersTag } from '@kuik/image';
import { indexOf, makeArtifact, makeImage, type MadeImage } from '@kuik/testbed';
import { ASKED_BELOW_MAX, REFERRERS_MAX, ReferrersRound } from './copy-referrers.ts';
import { RegistryError } from './errors.ts';
import { memoryRegistry, type MemoryRequest } from './memory.ts';
import type { Descriptor } from './plan.ts';
import type { RepositoryClient } from './port.ts';
import { referrersIndex, referrersOf } from './referrers.ts';

const INDEX = 'application/vnd.oci.image.index.v1+json';
const image = await makeImage({ seed: 'subject' });
const signature = await makeArtifact({ seed: 'signature', subject: image.root });
const sbom = await makeArtifact({ seed: 'sbom', subject: image.root, artifactType: 'application/spdx+json' });
const countersignature = await makeArtifact({ seed: 'counter', subject: signature.root });

describe('a round of what refers to an image', () => {
  let registry: ReturnType<typeof memoryRegistry>;
  let source: RepositoryClient;
  let target: RepositoryClient;
  let refuse: (request: MemoryRequest) => void;
  beforeEach(async () => {
    refuse = () => undefined;
    unlisted = 0;
    registry = memoryRegistry({ intercept: (request) => refuse(request) });
    source = registry.repository('up.test', 'app');
    target = registry.repository('cache.test', 'app');
    for (const one of [image, signature, sbom, countersignature]) await push(one);
  });

  async function push({ blobs, manifests }: MadeImage, tag?: string): Promise<void> {
    for (const blob of blobs) registry.putBlob('up.test', 'app', Buffer.concat([...blob.open()]), blob.digest);
    for (const { digest, bytes, mediaType } of manifests) await source.putManifest(tag ?? digest, bytes, mediaType);
  }
  const describe_ = (one: MadeImage, artifactType?: string): Descriptor => ({
    mediaType: one.root.mediaType,
    digest: one.digest,
    size: one.root.size,
    annotations: { 'org.acme': 'kept' },
    ...(artifactType === undefined ? {} : { artifactType }),
  });
  const fallback = (subject: string, ...artifacts: Descriptor[]) =>
    source.putManifest(referrersTag(subject), referrersIndex(artifacts), INDEX);
  let unlisted = 0;
  const begin = (witness?: string) =>
    new ReferrersRound({ source, target, witness, onUnlisted: () => (unlisted += 1) });
  const run = (witness?: string) => begin(witness).of(image.digest);
  /** Requests upstream of one round, in order. */
  const asked = async (witness: string) => {
    const before = registry.requests.length;
    const { count } = await run(witness);
    const operations = registry.requests.slice(before).filter(({ host }) => host === 'up.test');
    return { count, operations: operations.map(({ operation }) => operation) };
  };
  const has = (reference: string) =>
    target.headManifest(reference).then(
      () => true,
      () => false,
    );
  const listed = async (subject: string) =>
    (await referrersOf(target, subject)).descriptors.map(({ digest }) => digest);

  it('of an image that nothing refers to costs five requests and writes nothing', async () => {
    const before = registry.requests.length;
    expect(await run()).toEqual({ count: 0 });
    expect(registry.requests.slice(before).map(({ host, operation }) => `${host} ${operation}`)).toEqual([
      'up.test referrers',
      ...Array<string>(4).fill('up.test head-manifest'),
    ]);
  });

  describe('whose tags are listed', () => {
    beforeEach(() => push(image, '1'));

    it('costs two requests when nothing refers to it', async () => {
      expect(await asked('1')).toEqual({ count: 0, operations: ['referrers', 'tags'] });
      expect(unlisted).toBe(0);
    });

    it('is asked for no tag that is not there, and for all that are', async () => {
      const [sig] = cosignTags(image.digest);
      await push(signature, sig);
      await fallback(image.digest, describe_(sbom));
      const { count, operations } = await asked('1');
      expect(count).toBe(2);
      // The index, and the signature's tag.
      expect(operations.filter((operation) => operation === 'head-manifest')).toHaveLength(2);
    });

    it.each<[string, string, () => void]>([
      ['lacks the tag that was just read', 'another', () => undefined],
      [
        'goes on elsewhere',
        '1',
        () => {
          const { listTags } = source;
          source = { ...source, listTags: async (request) => ({ ...(await listTags(request)), next: 'more' }) };
        },
      ],
      [
        'is of a round length, as capped ones are',
        '1',
        () => {
          const tags = ['1', ...Array.from({ length: 99 }, (_, at) => `0.${at}`)];
          source = { ...source, listTags: () => Promise.resolve({ tags }) };
        },
      ],
      [
        'is refused',
        '1',
        () => {
          refuse = ({ operation }) => {
            if (operation === 'tags') throw new RegistryError('forbidden', 'no list');
          };
        },
      ],
    ])('is asked for each of them when the list %s', async (_name, witness, arrange) => {
      const [sig] = cosignTags(image.digest);
      await push(signature, sig);
      arrange();
      const { count, operations } = await asked(witness);
      expect(count).toBe(1);
      expect(operations.filter((operation) => operation === 'head-manifest')).toHaveLength(4);
      expect(unlisted).toBe(1);
    });

    it('is left alone by an upstream that has had enough', async () => {
      refuse = ({ operation }) => {
        if (operation === 'tags') throw new RegistryError('rate-limited', 'slow down');
      };
      expect(await run('1')).toEqual({ count: 0, problem: 'slow down' });
      expect(unlisted).toBe(0);
    });
  });

  it.each(['by the API', 'by the fallback tag'])('follows %s, and what refers to those', async (how) => {
    const about = new Map([
      [image.digest, [describe_(signature, 'application/sig'), describe_(sbom, 'application/spdx+json')]],
      [signature.digest, [describe_(countersignature)]],
      // In a circle.
      [countersignature.digest, [describe_(signature)]],
    ]);
    if (how === 'by the API') registry.answerReferrers('up.test', 'app', (digest) => about.get(digest) ?? []);
    else for (const [subject, artifacts] of about) await fallback(subject, ...artifacts);
    expect(await run()).toEqual({ count: 3 });
    expect(await listed(image.digest)).toEqual([signature.digest, sbom.digest]);
    expect(await listed(signature.digest)).toEqual([countersignature.digest]);
    for (const one of [signature, sbom, countersignature]) {
      expect((await target.openManifest(one.digest)).bytes.equals(one.root.bytes)).toBe(true);
      for (const { digest, size } of one.blobs) expect(await target.headBlob(digest)).toEqual({ size });
    }
    if (how === 'by the fallback tag') {
      const [there, here] = await Promise.all(
        [source, target].map((one) => one.openManifest(referrersTag(image.digest))),
      );
      expect(here!.bytes.equals(there!.bytes)).toBe(true);
    }
    expect((await referrersOf(target, image.digest)).descriptors[0]).toEqual(describe_(signature, 'application/sig'));
    expect(await run()).toEqual({ count: 3 });
  });

  it("brings cosign's tags", async () => {
    const [sig, att, sbomTag] = cosignTags(image.digest);
    await push(signature, sig);
    await push(sbom, sbomTag);
    expect(await run()).toEqual({ count: 2 });
    expect([await has(sig!), await has(att!), await has(sbomTag!)]).toEqual([true, false, true]);
  });

  it.each<[string, () => void, { count: number; problem?: unknown }, string[]]>([
    [
      'one that is gone',
      () => {
        refuse = ({ host, reference }) => {
          if (host === 'up.test' && reference === signature.digest) throw new RegistryError('not-found', 'it is gone');
        };
      },
      { count: 1, problem: 'it is gone' },
      [sbom.digest],
    ],
    [
      'an upstream that has had enough',
      () => {
        refuse = ({ host, operation, reference }) => {
          if (host === 'up.test' && operation === 'open-manifest' && reference === sbom.digest)
            throw new RegistryError('rate-limited', 'slow down');
        };
      },
      { count: 1, problem: 'slow down' },
      [],
    ],
    [
      'an upstream that is away',
      () => {
        refuse = ({ host }) => {
          if (host === 'up.test') throw new RegistryError('refused', 'away');
        };
      },
      { count: 0, problem: 'away' },
      [],
    ],
    [
      'a cache that takes none',
      () => {
        refuse = ({ host, operation }) => {
          if (host === 'cache.test' && operation === 'put-manifest') throw new RegistryError('rejected', 'not here');
        };
      },
      { count: 0, problem: 'not here' },
      [],
    ],
  ])('tells of %s, and fails nothing', async (_name, arrange, told, index) => {
    await fallback(image.digest, describe_(signature), describe_(sbom));
    arrange();
    expect(await run()).toEqual(told);
    refuse = () => undefined;
    expect(await listed(image.digest)).toEqual(index);
  });

  it('is bounded', async () => {
    const many = Array.from({ length: REFERRERS_MAX + 5 }, (_, at) => ({
      ...describe_(signature),
      digest: `sha256:${at.toString(16).padStart(64, '0')}`,
    }));
    registry.answerReferrers('up.test', 'app', (digest) => (digest === image.digest ? many : []));
    expect((await run()).problem).toBeDefined();
    const tried = registry.requests.filter(
      ({ host, operation }) => host === 'up.test' && operation === 'open-manifest',
    );
    expect(tried.length).toBeLessThanOrEqual(REFERRERS_MAX);
  });

  it('stops when the caller does', async () => {
    const stop = AbortSignal.abort();
    await expect(begin().of(image.digest, stop)).rejects.toMatchObject({ code: 'aborted' });
  });

  it('is over in time, and asks for no more then', async () => {
    source = {
      ...source,
      listReferrers: (_digest, options) =>
        new Promise((_resolve, reject) => {
          options!.signal!.addEventListener('abort', () => reject(new RegistryError('aborted', 'too late')));
        }),
    };
    const round = new ReferrersRound({ source, target, withinMs: 5 });
    const told = { count: 0, problem: 'what refers to the image could not be copied within 0.005 s' };
    expect(await round.of(image.digest)).toEqual(told);
    const before = registry.requests.length;
    expect(await round.below([signature.digest])).toEqual(told);
    expect(registry.requests.length).toBe(before);
  });

  describe('and to the manifests below it', () => {
    const index = indexOf([{ image }, { image: signature }]);
    const children = [image.digest, signature.digest];
    const ofIndex = (digests: readonly string[]) => async (witness?: string) => {
      const before = registry.requests.length;
      const round = begin(witness);
      await round.of(index.digest);
      const since = registry.requests.length;
      const told = await round.below(digests);
      const upstream = ({ host }: MemoryRequest) => host === 'up.test';
      return {
        ...told,
        root: registry.requests.slice(before, since).filter(upstream).length,
        below: registry.requests
          .slice(since)
          .filter(upstream)
          .map(({ operation }) => operation),
      };
    };
    const runIndex = ofIndex(children);
    beforeEach(async () => {
      await push(index, '1');
      // As the copy of the image leaves it.
      for (const one of [image, signature]) {
        for (const blob of one.blobs)
          registry.putBlob('cache.test', 'app', Buffer.concat([...blob.open()]), blob.digest);
        for (const { digest, bytes, mediaType } of one.manifests) await target.putManifest(digest, bytes, mediaType);
      }
    });

    it('costs nothing more where one list of tags shows that there is nothing', async () => {
      expect(await runIndex('1')).toEqual({ count: 0, root: 2, below: [] });
    });

    it('costs a request for each by the API when there is nothing', async () => {
      registry.answerReferrers('up.test', 'app', () => []);
      expect(await runIndex('1')).toEqual({ count: 0, root: 2, below: ['referrers', 'referrers'] });
    });

    it('costs nothing more where the tags are not known, and no tag is asked for', async () => {
      await push(sbom, cosignTags(image.digest)[0]);
      expect(await runIndex()).toEqual({ count: 0, root: 5, below: [] });
    });

    it('is had by the API alone where the tags are not known', async () => {
      registry.answerReferrers('up.test', 'app', (digest) => (digest === image.digest ? [describe_(sbom)] : []));
      await push(sbom, cosignTags(image.digest)[0]);
      const { count, below } = await runIndex();
      expect(count).toBe(1);
      expect(below).not.toContain('head-manifest');
    });

    it.each(['by the API', 'by the fallback tag', "by cosign's tag"])('is brought %s', async (how) => {
      const [sig] = cosignTags(image.digest);
      if (how === 'by the API')
        registry.answerReferrers('up.test', 'app', (digest) => (digest === image.digest ? [describe_(sbom)] : []));
      else if (how === 'by the fallback tag') await fallback(image.digest, describe_(sbom));
      else await push(sbom, sig);
      expect(await runIndex('1')).toMatchObject({ count: 1 });
      expect(await has(sbom.digest)).toBe(true);
      if (how === "by cosign's tag") expect(await has(sig!)).toBe(true);
      else expect(await listed(image.digest)).toEqual([sbom.digest]);
    });

    it('stays listed when another image that lists the same manifest meets its bounds', async () => {
      const second = await makeArtifact({ seed: 'second', subject: image.root });
      await push(second);
      await fallback(image.digest, describe_(sbom), describe_(second));
      await runIndex('1');
      const whole = await target.openManifest(referrersTag(image.digest));
      const many = Array.from({ length: REFERRERS_MAX - 1 }, (_, at) => ({
        ...describe_(signature),
        digest: `sha256:${at.toString(16).padStart(64, '0')}`,
      }));
      await fallback(index.digest, ...many);
      expect((await runIndex('1')).problem).toBeDefined();
      expect(await listed(image.digest)).toEqual([sbom.digest, second.digest]);
      expect((await target.openManifest(referrersTag(image.digest))).bytes.equals(whole.bytes)).toBe(true);
    });

    it('is not read again when it is one of them itself', async () => {
      registry.answerReferrers('up.test', 'app', (digest) => (digest === image.digest ? [describe_(signature)] : []));
      expect(await runIndex('1')).toEqual({ count: 1, root: 2, below: ['referrers', 'referrers'] });
      expect(await listed(image.digest)).toEqual([signature.digest]);
    });

    it('is asked for of the first of very many, and found of all by the list of tags', async () => {
      const many = Array.from(
        { length: ASKED_BELOW_MAX + 2 },
        (_, at) => `sha256:${at.toString(16).padStart(64, '0')}`,
      );
      const [sig] = cosignTags(many.at(-1)!);
      await push(sbom, sig);
      registry.answerReferrers('up.test', 'app', () => []);
      const found = await ofIndex(many)('1');
      expect(found.below.filter((operation) => operation === 'referrers')).toHaveLength(ASKED_BELOW_MAX);
      expect(found.count).toBe(1);
      expect(found.problem).toContain('was not asked for');
      expect(await has(sig!)).toBe(true);
    });

    it('is within the bounds of the image', async () => {
      const many = Array.from({ length: REFERRERS_MAX }, (_, at) => ({
        ...describe_(sbom),
        digest: `sha256:${at.toString(16).padStart(64, '0')}`,
      }));
      registry.answerReferrers('up.test', 'app', (digest) =>
        digest === index.digest ? many : digest === image.digest ? [describe_(sbom)] : [],
      );
      expect((await runIndex('1')).count).toBe(0);
      expect(await has(sbom.digest)).toBe(false);
    });

    it('is not asked for at an upstream that has had enough', async () => {
      refuse = ({ host, operation }) => {
        if (host === 'up.test' && operation === 'referrers') throw new RegistryError('rate-limited', 'slow down');
      };
      expect(await runIndex('1')).toEqual({ count: 0, problem: 'slow down', root: 1, below: [] });
    });

    it('is had by its tag where the API knows nothing of a manifest, and the API is asked on', async () => {
      let noApi = 0;
      registry.answerReferrers('up.test', 'app', () => []);
      const { listReferrers } = source;
      source = {
        ...source,
        listReferrers: (digest, options) =>
          digest === image.digest ? Promise.resolve(undefined) : listReferrers(digest, options),
      };
      await fallback(image.digest, describe_(sbom));
      const round = new ReferrersRound({ source, target, witness: '1', onNoApi: () => (noApi += 1) });
      await round.of(index.digest);
      expect(await round.below(children)).toEqual({ count: 1 });
      expect(noApi).toBe(0);
    });
  });
});
