import { beforeEach, describe, expect, it } from '@jest/globals';
import { CACHED_IMAGES } from '@kuik/kube';
import { RegistryError, type RegistryErrorCode } from '@kuik/registry';
import type { Collection } from './collection-loop.ts';
import { imageOf, UNREAD_MS, type ImageChange } from './fixtures.ts';
import { bend, World } from './world.fixture.ts';

const signal = new AbortController().signal;
let world: World;
let gc: Collection;
beforeEach(async () => {
  world = await World.begin();
  gc = world.process();
});
const round = () => gc.round(signal);
const change = (bent: ImageChange, name = 'nginx') => bend(world.kube, name, bent);

describe('tags that several resources need', () => {
  const digest = `sha256:${'d'.repeat(64)}`;
  const anchor = `kuik-sha256-${'d'.repeat(64)}`;
  const unusedAnchor = (name: string, tag: string) => ({
    name,
    spec: { sourceImage: `docker.io/library/nginx:${tag}@${digest}` },
    status: { usedBy: { forUid: `uid-${name}`, count: 0 } },
  });

  /** Whose tag names the digest. */
  const naming = (count: number): ImageChange => ({
    name: 'naming',
    spec: { sourceImage: 'docker.io/library/nginx:3' },
    status: {
      usedBy: { forUid: 'uid-naming', count },
      cache: { forUid: 'uid-naming', digest, copiedAt: '2026-01-01T00:00:00Z' },
    },
  });

  it('keeps an anchor while another resource names the digest, and removes it with the last', async () => {
    world.add(unusedAnchor('one', '1'));
    world.add({ ...unusedAnchor('two', '2'), status: { usedBy: { forUid: 'uid-two', count: 1 } } });
    world.tags.clear();
    world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
    await round();
    world.pass(9);
    await round();
    expect(world.image('one')).toBeUndefined();
    expect(world.tags.size).toBe(1);
    change({ status: { usedBy: { forUid: 'uid-two', count: 0 } } }, 'two');
    await round();
    world.pass(9);
    await round();
    expect(world.image('two')).toBeUndefined();
    expect(world.tags.size).toBe(0);
  });

  it('keeps an anchor while another resource pins the digest, and removes it with that one', async () => {
    const pinning = { name: 'pinning', spec: { sourceImage: 'docker.io/library/nginx:2', pin: digest } };
    world.add(unusedAnchor('one', '1'));
    world.add({ ...pinning, status: { usedBy: { forUid: 'uid-pinning', count: 1 } } });
    world.tags.clear();
    for (const tag of [anchor, '2']) world.tags.set(`docker.io/library/nginx:${tag}`, digest);
    await round();
    world.pass(9);
    await round();
    expect(world.image('one')).toBeUndefined();
    expect(world.tags.size).toBe(2);
    change({ status: { usedBy: { forUid: 'uid-pinning', count: 0 } } }, 'pinning');
    await round();
    world.pass(9);
    await round();
    expect(world.image('pinning')).toBeUndefined();
    expect(world.tags.size).toBe(0);
  });

  it('keeps an anchor while the tag of another resource names the digest, and removes it with that one', async () => {
    world.add(unusedAnchor('one', '1'));
    world.add(naming(1));
    world.tags.clear();
    for (const tag of [anchor, '3']) world.tags.set(`docker.io/library/nginx:${tag}`, digest);
    await round();
    world.pass(9);
    await round();
    expect(world.image('one')).toBeUndefined();
    expect(world.tags.size).toBe(2);
    change({ status: { usedBy: { forUid: 'uid-naming', count: 0 } } }, 'naming');
    await round();
    world.pass(9);
    await round();
    expect(world.image('naming')).toBeUndefined();
    expect([...world.tags.keys()]).toEqual([]);
  });

  it('keeps it for an image in use whose resource a person deletes at that moment', async () => {
    world.add(unusedAnchor('one', '1'));
    world.tags.clear();
    world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
    await round();
    world.pass(9);
    world.add({ ...unusedAnchor('two', '2'), status: { usedBy: { forUid: 'uid-two', count: 1 } }, deleting: true });
    world.tags.delete('docker.io/library/two:1');
    world.holdersOf = (reference) => (reference.includes(':2@') ? 'held' : 'free');
    await round();
    expect(world.kube.objects(CACHED_IMAGES)).toEqual([]);
    expect([...world.tags.keys()]).toEqual([`docker.io/library/nginx:${anchor}`]);
  });

  it('keeps it when a resource names the digest while the removal of another image takes long', async () => {
    world.add({ name: 'a-slow' });
    world.add(unusedAnchor('one', '1'));
    world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
    await round();
    world.pass(9);
    const deleteTag = world.tags.delete.bind(world.tags);
    world.tags.delete = (tag) => {
      if (tag.includes('slow')) {
        world.pass(1);
        world.add({ ...unusedAnchor('new', '2'), status: { usedBy: { forUid: 'uid-new', count: 1 } } });
      }
      return deleteTag(tag);
    };
    await round();
    expect(world.image('a-slow')).toBeUndefined();
    expect(world.image('one')).toBeUndefined();
    expect([...world.tags.keys()]).toContain(`docker.io/library/nginx:${anchor}`);
  });

  it.each<[string, string, () => ImageChange, number | undefined]>([
    ['at once', 'one', () => unusedAnchor('one', '1'), undefined],
    // removedAt, its word, the anchor; then the process dies.
    ['by the next process when this one dies', 'one', () => unusedAnchor('one', '1'), 3],
    ['at once, when it went with a tag that names the digest,', 'naming', () => naming(0), undefined],
    // removedAt, its word, the tag, the anchor; then the process dies.
    ['by the next process, when it went with such a tag,', 'naming', () => naming(0), 4],
  ])(
    'puts it back %s when a resource came, and found it, just before it went',
    async (_when, name, going, lifetime) => {
      world.add(going());
      world.tags.clear();
      world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
      await round();
      world.pass(9);
      const deleteTag = world.tags.delete.bind(world.tags);
      world.tags.delete = (tag) => {
        if (!tag.endsWith(anchor)) return deleteTag(tag);
        world.tags.delete = deleteTag;
        world.kube.put(
          CACHED_IMAGES,
          imageOf({ ...unusedAnchor('new', '2'), status: { usedBy: { forUid: 'uid-new', count: 1 } } }),
        );
        return deleteTag(tag);
      };
      world.lifetime = lifetime;
      if (lifetime === undefined) await round();
      else await expect(round()).rejects.toThrow('SIGKILL');
      expect(world.image(name) === undefined).toBe(lifetime === undefined);
      world.lifetime = undefined;
      await round();
      expect(world.image(name)).toBeUndefined();
      expect([...world.tags]).toEqual([[`docker.io/library/nginx:${anchor}`, digest]]);
    },
  );

  it('removes it when all of them go in one round', async () => {
    world.add(unusedAnchor('one', '1'));
    world.add(unusedAnchor('two', '2'));
    world.tags.clear();
    world.tags.set(`docker.io/library/nginx:${anchor}`, digest);
    await round();
    world.pass(9);
    await round();
    expect(world.kube.objects(CACHED_IMAGES)).toEqual([]);
    expect(world.tags.size).toBe(0);
    expect(world.listed).toEqual(['docker.io/library/nginx']);
  });

  it('lists the tags of a repository anew in the next round', async () => {
    world.add(unusedAnchor('one', '1'));
    world.add({ ...unusedAnchor('two', '2'), status: { usedBy: { forUid: 'uid-two', count: 1 } } });
    await round();
    world.pass(9);
    await round();
    change({ status: { usedBy: { forUid: 'uid-two', count: 0 } } }, 'two');
    await round();
    world.pass(9);
    world.tags.set(`docker.io/library/nginx:sha256-${'d'.repeat(64)}.sig`, digest);
    await round();
    expect(world.image('two')).toBeUndefined();
    expect([...world.tags.keys()].filter((tag) => tag.includes('sha256-'))).toEqual([]);
  });

  it('removes what is about a digest with the last resource that names it, and what is about that', async () => {
    const hex = 'd'.repeat(64);
    const signature = 'e'.repeat(64);
    const at = (tag: string) => `docker.io/library/nginx:${tag}`;
    const index = (...digests: string[]) => {
      const manifests = digests.map((one) => ({
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        digest: one,
        size: 1,
      }));
      return JSON.stringify({ schemaVersion: 2, manifests });
    };
    world.add(unusedAnchor('one', '1'));
    world.add({ ...unusedAnchor('two', '2'), status: { usedBy: { forUid: 'uid-two', count: 1 } } });
    world.tags.clear();
    world.tags.set(at(anchor), digest);
    world.tags.set(at(`sha256-${hex}`), index(`sha256:${signature}`, `sha256:${'f'.repeat(64)}`));
    world.tags.set(at(`sha256-${signature}`), index());
    for (const kind of ['sig', 'sbom']) world.tags.set(at(`sha256-${hex}.${kind}`), signature);
    world.tags.set(at(`sha256-${'c'.repeat(64)}.sig`), 'of another image');
    await round();
    world.pass(9);
    await round();
    expect(world.image('one')).toBeUndefined();
    expect(world.tags.size).toBe(6);
    change({ status: { usedBy: { forUid: 'uid-two', count: 0 } } }, 'two');
    await round();
    world.pass(9);
    await round();
    expect([...world.tags.keys()]).toEqual([at(`sha256-${'c'.repeat(64)}.sig`)]);
  });

  describe('about what an index lists', () => {
    const hex = (letter: string) => letter.repeat(64);
    const [child, shared, signature] = ['1', '2', '3'].map((letter) => `sha256:${hex(letter)}`) as [
      string,
      string,
      string,
    ];
    const other = `sha256:${hex('b')}`;
    const index = (...digests: string[]) =>
      JSON.stringify({
        schemaVersion: 2,
        manifests: digests.map((one) => ({
          mediaType: 'application/vnd.oci.image.manifest.v1+json',
          digest: one,
          size: 1,
        })),
      });
    const at = (tag: string) => `docker.io/library/nginx:${tag}`;
    const left = () => [...world.tags.keys()].map((tag) => tag.slice(at('').length)).sort();
    beforeEach(() => {
      world.manifests.set(digest, index(child, shared));
      world.manifests.set(other, index(shared));
      world.tags.clear();
      world.add(unusedAnchor('one', '1'));
      world.tags.clear();
      world.tags.set(at(anchor), digest);
      world.tags.set(at(`sha256-${hex('1')}`), index(signature));
      world.tags.set(at(`sha256-${hex('3')}`), index());
      for (const kind of ['sig', 'att']) world.tags.set(at(`sha256-${hex('1')}.${kind}`), signature);
      world.tags.set(at(`sha256-${hex('2')}.sig`), signature);
    });
    const passGrace = async () => {
      await round();
      world.pass(9);
      await round();
    };
    const second = (sourceImage: string, kept: string, count = 1) =>
      world.add({
        name: 'two',
        spec: { sourceImage },
        status: {
          usedBy: { forUid: 'uid-two', count },
          cache: { forUid: 'uid-two', digest: kept, bytes: 1000, copiedAt: '2026-11-20T11:00:00Z' },
        },
      });

    it('it goes with the image, and what is about that', async () => {
      await passGrace();
      expect(left()).toEqual([]);
    });

    it('it stays with another image that lists it, and goes with that one', async () => {
      second('docker.io/library/nginx:2', other);
      world.tags.delete('docker.io/library/two:1');
      world.tags.set(at('2'), other);
      await passGrace();
      expect(world.image('one')).toBeUndefined();
      expect(left()).toEqual(['2', `sha256-${hex('2')}.sig`]);
      change({ status: { usedBy: { forUid: 'uid-two', count: 0 } } }, 'two');
      await passGrace();
      expect(left()).toEqual([]);
    });

    it('it stays with a resource that names it itself, and goes with that one', async () => {
      second(`docker.io/library/nginx@${child}`, child);
      world.tags.delete('docker.io/library/two:1');
      await passGrace();
      const about = ['1', '1.att', '1.sig', '3'].map((tag) => `sha256-${hex(tag[0]!)}${tag.slice(1)}`);
      expect(left()).toEqual(about);
      change({ status: { usedBy: { forUid: 'uid-two', count: 0 } } }, 'two');
      await passGrace();
      expect(left()).toEqual([]);
    });

    it('what is about a digest that a resource names stays while another one lists it', async () => {
      second(`docker.io/library/nginx@${child}`, child, 0);
      change({ status: { usedBy: { forUid: 'uid-one', count: 1 } } }, 'one');
      world.tags.delete('docker.io/library/two:1');
      const before = left();
      await passGrace();
      expect(world.image('two')).toBeUndefined();
      expect(left()).toEqual(before);
    });

    it('a list that names what another image lists takes nothing of that along', async () => {
      second('docker.io/library/nginx:2', other);
      world.tags.delete('docker.io/library/two:1');
      world.tags.set(at(`sha256-${hex('2')}`), index());
      world.tags.set(at(`sha256-${hex('1')}`), index(shared));
      await passGrace();
      expect(left()).toEqual([`sha256-${hex('2')}`, `sha256-${hex('2')}.sig`, `sha256-${hex('3')}`]);
    });

    describe('a manifest that the cache cannot give', () => {
      const cannotGive = (given: string, code: RegistryErrorCode) => {
        world.reading = (reference) => {
          if (reference === given) throw new RegistryError(code, `no ${given}`);
        };
      };

      it.each<RegistryErrorCode>(['server-error', 'digest-mismatch', 'not-found'])(
        'of another image keeps what is about this one: it waits, for a while (%s)',
        async (code) => {
          second('docker.io/library/nginx:2', other);
          world.tags.delete('docker.io/library/two:1');
          world.tags.set(at(`sha256-${hex('d')}.sig`), signature);
          const before = left();
          cannotGive(other, code);
          await passGrace();
          for (const _minute of [1, 2]) {
            world.pass(1);
            await round();
          }
          expect(world.image('one')?.status?.removal?.removedAt).toBeDefined();
          expect(left()).toEqual(before);
          expect(world.events).toEqual(['Expiring', 'RemovalWaits']);
          expect(await world.metrics.render()).toContain('kuik_gc_kept_total{reason="ManifestUnread"} 3');
          world.pass(UNREAD_MS / 60_000);
          await round();
          expect(world.image('one')).toBeUndefined();
          expect(left()).toEqual(before.filter((tag) => tag !== anchor));
        },
      );

      it.each<[string, string[], string[]]>([
        ['lists what this one is: that stays', [child, shared], [`sha256-${hex('2')}.sig`]],
        ['lists something else: it goes', [child], []],
      ])('of another image that can be read again, and %s', async (_what, listed, expected) => {
        world.manifests.set(digest, index(...listed));
        change({ status: { usedBy: { forUid: 'uid-one', count: 1 } } }, 'one');
        second(`docker.io/library/nginx@${shared}`, shared, 0);
        world.tags.delete('docker.io/library/two:1');
        cannotGive(digest, 'server-error');
        await passGrace();
        expect(world.image('two')).toBeDefined();
        world.reading = () => undefined;
        world.pass(1);
        await round();
        expect(world.image('two')).toBeUndefined();
        expect(left().filter((tag) => tag.includes(hex('2')))).toEqual(expected);
      });

      const leaves = () => {
        const removal = { forUid: 'uid-two', condemnedAt: '2026-11-20T11:40:00Z', reason: 'Unused', epoch: 1 };
        change({ status: { removal: { ...removal, removedAt: '2026-11-20T11:50:00Z' } } }, 'two');
        world.holdersOf = (reference) => (reference.includes(other) ? 'unknown' : 'free');
      };
      const isNoIndex = () => {
        const mediaType = 'application/vnd.oci.image.manifest.v1+json';
        change({ status: { cache: { forUid: 'uid-two', digest: other, mediaType } } }, 'two');
      };

      const now = `sha256:${hex('7')}`;
      const movedOn = (pin?: string) => {
        const history = [{ digest: other, at: '2026-11-20T11:00:00Z' }];
        change({ spec: { pin }, status: { cache: { forUid: 'uid-two', digest: now, history } } }, 'two');
      };

      it.each<[string, RegistryErrorCode, () => void]>([
        ['is no index by its record', 'server-error', isNoIndex],
        ['is on its way out', 'server-error', leaves],
        ['is on its way out', 'not-found', leaves],
        ['is not there by its record', 'not-found', () => change({ status: { cache: { forUid: 'uid-two' } } }, 'two')],
        ['is what its tag named before', 'not-found', () => movedOn()],
        ['is what its tag named before, with another pin', 'not-found', () => movedOn(now)],
        ['is of another repository', 'server-error', () => second('docker.io/library/other:2', other)],
      ])('of another image that %s holds nothing up (%s)', async (_what, code, bent) => {
        second(`docker.io/library/nginx@${other}`, other);
        bent();
        world.tags.delete('docker.io/library/two:1');
        cannotGive(other, code);
        await passGrace();
        expect(world.image('one')).toBeUndefined();
        expect(left()).toEqual([]);
      });

      it('of another image that is what its tag named before holds it up while that is pinned: pulls ask for it', async () => {
        second('docker.io/library/nginx:2', now);
        movedOn(other);
        world.tags.delete('docker.io/library/two:1');
        cannotGive(other, 'not-found');
        await passGrace();
        expect(world.image('one')).toBeDefined();
      });

      it('of another image holds nothing up that nothing is about', async () => {
        second('docker.io/library/nginx:2', other);
        world.tags.clear();
        world.tags.set(at(anchor), digest);
        cannotGive(other, 'server-error');
        await passGrace();
        expect(world.image('one')).toBeUndefined();
      });

      it('of another image does not hold up who deletes: what is about the image stays', async () => {
        second('docker.io/library/nginx:2', other);
        world.tags.delete('docker.io/library/two:1');
        const before = left();
        cannotGive(other, 'server-error');
        await world.kube.delete(CACHED_IMAGES, { name: 'one' });
        await round();
        expect(world.image('one')).toBeUndefined();
        expect(left()).toEqual(before.filter((tag) => tag !== anchor));
      });

      it('of a signature may be another image’s: what is about it waits', async () => {
        change({ status: { usedBy: { forUid: 'uid-one', count: 1 } } }, 'one');
        second(`docker.io/library/nginx@${signature}`, signature, 0);
        world.tags.delete('docker.io/library/two:1');
        const before = left();
        cannotGive(signature, 'server-error');
        await passGrace();
        expect(world.image('two')).toBeDefined();
        expect(left()).toEqual(before);
      });

      it.each<[string, string, string[]]>([
        ['of the image', digest, ['1', '1.att', '1.sig', '2.sig', '3']],
        ['of a list', `sha256-${hex('1')}`, ['3']],
      ])('%s itself is as one that lists nothing', async (_what, given, expected) => {
        cannotGive(given, 'server-error');
        await passGrace();
        expect(world.image('one')).toBeUndefined();
        expect(left()).toEqual(expected.map((tag) => `sha256-${hex(tag[0]!)}${tag.slice(1)}`));
      });

      it('of the image itself holds nothing up, and what is about it goes, when no other one has anything about it', async () => {
        second('docker.io/library/nginx:2', other);
        world.manifests.set(other, index());
        world.tags.delete('docker.io/library/two:1');
        world.tags.set(at(`sha256-${hex('d')}.sig`), signature);
        cannotGive(digest, 'server-error');
        await passGrace();
        expect(world.image('one')).toBeUndefined();
        expect(left()).not.toContain(`sha256-${hex('d')}.sig`);
      });

      it('behind a tag that another image needs holds up nobody', async () => {
        second(`docker.io/library/nginx:2@${digest}`, digest);
        world.tags.delete('docker.io/library/two:1');
        cannotGive(anchor, 'server-error');
        await passGrace();
        expect(world.image('one')).toBeUndefined();
        expect(left()).toContain(anchor);
      });

      it('because the cache is away ends the round, as ever', async () => {
        second('docker.io/library/nginx:2', other);
        cannotGive(other, 'refused');
        await round();
        world.pass(9);
        await expect(round()).rejects.toMatchObject({ code: 'refused' });
      });
    });

    describe('what is about a signature', () => {
      beforeEach(() => {
        const mediaType = 'application/vnd.oci.image.manifest.v1+json';
        const subject = { mediaType, digest: child, size: 1 };
        world.manifests.set(signature, JSON.stringify({ schemaVersion: 2, layers: [], subject }));
        second(`docker.io/library/nginx@${signature}`, signature, 0);
        world.tags.delete('docker.io/library/two:1');
        world.tags.set(at(`sha256-${hex('3')}.sig`), 'of the signature');
      });

      it('stays with the image that was signed when another one names the signature, and goes with the first', async () => {
        change({ status: { usedBy: { forUid: 'uid-one', count: 1 } } }, 'one');
        const before = left();
        await passGrace();
        expect(world.image('two')).toBeUndefined();
        expect(left()).toEqual(before);
        change({ status: { usedBy: { forUid: 'uid-one', count: 0 } } }, 'one');
        await passGrace();
        expect(left()).toEqual([]);
      });

      it('stays, too, when it is about a signature of a signature', async () => {
        const timestamp = `sha256:${hex('6')}`;
        const subject = { mediaType: 'application/vnd.oci.image.manifest.v1+json', digest: signature, size: 1 };
        world.manifests.set(timestamp, JSON.stringify({ schemaVersion: 2, layers: [], subject }));
        world.tags.set(at(`sha256-${hex('3')}`), index(timestamp));
        world.tags.set(at(`sha256-${hex('6')}`), index());
        world.add({ name: 'three', spec: { sourceImage: `docker.io/library/nginx@${timestamp}` } });
        world.tags.delete('docker.io/library/three:1');
        change({ status: { usedBy: { forUid: 'uid-one', count: 1 } } }, 'one');
        const before = left();
        await passGrace();
        expect([world.image('two'), world.image('three')]).toEqual([undefined, undefined]);
        expect(left()).toEqual(before);
      });

      it('goes with both', async () => {
        await passGrace();
        expect(left()).toEqual([]);
      });
    });

    it('it stays with an image that lists it by an index that was not there when the image was first looked at', async () => {
      const inner = `sha256:${hex('4')}`;
      const mediaType = 'application/vnd.oci.image.index.v1+json';
      const outer = JSON.stringify({ schemaVersion: 2, manifests: [{ mediaType, digest: inner, size: 1 }] });
      world.manifests.set(other, outer);
      world.manifests.set(inner, index(`sha256:${hex('5')}`));
      second('docker.io/library/nginx:2', other);
      world.tags.delete('docker.io/library/two:1');
      world.reading = (reference) => {
        if (reference === inner) throw new RegistryError('not-found', 'not yet');
      };
      await passGrace();
      expect(world.image('one')).toBeDefined();
      world.pass(UNREAD_MS / 60_000);
      await round();
      expect(world.image('one')).toBeUndefined();
      world.reading = () => undefined;
      const signed = `sha256-${hex('5')}.sig`;
      world.add({
        name: 'three',
        spec: { sourceImage: `docker.io/library/nginx@sha256:${hex('5')}` },
        status: { usedBy: { forUid: 'uid-three', count: 0 } },
      });
      world.tags.set(at(signed), signature);
      await passGrace();
      expect(world.image('three')).toBeUndefined();
      expect(left()).toContain(signed);
    });

    it('it stays with a resource that comes while the manifests of the others are read', async () => {
      second('docker.io/library/nginx:2', other);
      world.tags.delete('docker.io/library/two:1');
      const before = left().filter((tag) => tag !== anchor);
      await round();
      world.pass(9);
      world.reading = (reference) => {
        if (reference !== other) return;
        world.reading = () => undefined;
        const status = { usedBy: { forUid: 'uid-new', count: 1 } };
        world.kube.put(
          CACHED_IMAGES,
          imageOf({ name: 'new', spec: { sourceImage: `docker.io/library/nginx@${child}` }, status }),
        );
      };
      await round();
      expect(world.image('one')).toBeUndefined();
      expect(left()).toEqual(before);
    });

    it('it goes when gc dies on the way', async () => {
      await round();
      world.pass(9);
      // removedAt, its word, the tag, the anchor of what that names, two tags; then the process dies.
      world.lifetime = 6;
      await expect(round()).rejects.toThrow('SIGKILL');
      expect(left()).toHaveLength(3);
      world.lifetime = undefined;
      gc = world.process();
      await round();
      expect(left()).toEqual([]);
    });
  });
});
