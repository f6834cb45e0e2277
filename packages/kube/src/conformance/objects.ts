import { describe, expect, it } from '@jest/globals';
import type { CachedImage } from '@kuik/contracts';
import { orAbsent } from '../kube-error.ts';
import type { KubeObject } from '../port.ts';
import { CACHED_IMAGES, LEASES, NAMESPACES } from '../resources.ts';
import { image, unique, type World } from './world.ts';

/** What create, get, list, mergePatch and delete must do, on the API server and on its twin. */
export function objectsConformance(world: () => World): void {
  const client = () => world().client;

  describe('create and get', () => {
    it('returns the object as stored, with identity and version', async () => {
      const name = unique('created');
      const made = await client().create<CachedImage>(CACHED_IMAGES, image(name, {}, { a: 'b' }));
      expect(made).toMatchObject({ kind: 'CachedImage', metadata: { name, generation: 1, labels: { a: 'b' } } });
      expect(made.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
      expect(made.metadata.resourceVersion).toMatch(/^\d+$/);
      expect(made.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      expect((await client().get<CachedImage>(CACHED_IMAGES, { name })).spec).toEqual(made.spec);
    });

    it('refuses a second one of the name, and says so with its code', async () => {
      const name = unique('twice');
      await client().create(CACHED_IMAGES, image(name));
      await expect(client().create(CACHED_IMAGES, image(name))).rejects.toMatchObject({
        code: 'already-exists',
        retry: false,
      });
    });

    it('drops a status given at creation', async () => {
      const name = unique('early-status');
      const made = await client().create<CachedImage>(CACHED_IMAGES, { ...image(name), status: { phase: 'Ready' } });
      expect(made.status).toBeUndefined();
    });

    it('does not find what is not there', async () => {
      const absent = { name: unique('absent') };
      await expect(client().get(CACHED_IMAGES, absent)).rejects.toMatchObject({ code: 'not-found', retry: false });
      expect(await orAbsent(client().get(CACHED_IMAGES, absent))).toBeUndefined();
      const nameless = orAbsent(client().get(LEASES, { name: 'x' }));
      await expect(nameless).rejects.toMatchObject({ code: 'invalid' });
    });

    it('refuses a namespaced object without its namespace', async () => {
      await expect(client().get(LEASES, { name: 'x' })).rejects.toMatchObject({ code: 'invalid' });
    });

    it('fails as aborted when the caller gives up', async () => {
      const signal = AbortSignal.abort(new Error('enough'));
      await expect(client().get(NAMESPACES, { name: 'default' }, { signal })).rejects.toMatchObject({
        code: 'aborted',
      });
    });
  });

  describe('list', () => {
    it('follows pages to the end, all of one version', async () => {
      const set = unique('page');
      for (let i = 0; i < 5; i++) await client().create(CACHED_IMAGES, image(`${set}-${i}`, {}, { set }));
      const pages = [];
      for await (const page of client().pages(CACHED_IMAGES, { labelSelector: `set=${set}`, limit: 2 }))
        pages.push(page);
      expect(pages.map((page) => page.items.length)).toEqual([2, 2, 1]);
      expect(new Set(pages.map((page) => page.resourceVersion)).size).toBe(1);
      const all = await client().list(CACHED_IMAGES, { labelSelector: `set=${set}`, limit: 2 });
      expect(all.items.map((item) => item.metadata.name)).toEqual([0, 1, 2, 3, 4].map((i) => `${set}-${i}`));
    });

    it('keeps to a namespace, and crosses them without one', async () => {
      const name = unique('spread');
      const labels = { name };
      for (const namespace of ['default', 'other']) {
        await client().create(LEASES, { metadata: { name, namespace, labels }, spec: {} });
      }
      const count = async (options: object) =>
        (await client().list(LEASES, { ...options, labelSelector: `name=${name}` })).items.length;
      expect([await count({ namespace: 'other' }), await count({})]).toEqual([1, 2]);
    });

    it.each([
      ['tier=web', ['a', 'c']],
      ['tier!=web', ['b', 'd']],
      ['tier', ['a', 'b', 'c']],
      ['!tier', ['d']],
      ['tier in (web,db),zone=1', ['a', 'b']],
      ['tier notin (web)', ['b', 'd']],
    ])('selects by label %s', async (selector, expected) => {
      const set = unique('select');
      const labels = {
        a: { tier: 'web', zone: '1' },
        b: { tier: 'db', zone: '1' },
        c: { tier: 'web', zone: '2' },
        d: {},
      };
      for (const [name, own] of Object.entries(labels)) {
        await client().create(CACHED_IMAGES, image(`${set}-${name}`, {}, { set, ...own }));
      }
      const found = await client().list(CACHED_IMAGES, { labelSelector: `set=${set},${selector}` });
      expect(found.items.map((item) => item.metadata.name)).toEqual(expected.map((name) => `${set}-${name}`));
    });

    it('selects by name as a field', async () => {
      const found = await client().list(NAMESPACES, { fieldSelector: 'metadata.name=default' });
      expect(found.items.map((item) => item.metadata.name)).toEqual(['default']);
    });
  });

  describe('mergePatch', () => {
    it('merges, removes with null, and counts a generation for the spec alone', async () => {
      const name = unique('merged');
      await client().create(CACHED_IMAGES, image(name, { retain: true }, { a: '1', b: '2' }));
      const patched = await client().mergePatch<CachedImage>(
        CACHED_IMAGES,
        { name },
        { metadata: { labels: { a: null, c: '3' } } },
      );
      expect(patched.metadata).toMatchObject({ labels: { b: '2', c: '3' }, generation: 1 });
      expect(patched.metadata.labels).not.toHaveProperty('a');
      const changed = await client().mergePatch<CachedImage>(CACHED_IMAGES, { name }, { spec: { retain: null } });
      expect(changed.spec).not.toHaveProperty('retain');
      expect(changed.metadata.generation).toBe(2);
    });

    it('touches nothing but the status through the status subresource, and the status only there', async () => {
      const name = unique('status');
      await client().create(CACHED_IMAGES, image(name));
      const patch = { spec: { retain: true }, status: { phase: 'Ready' } };
      const byStatus = await client().mergePatch<CachedImage>(CACHED_IMAGES, { name }, patch, {
        subresource: 'status',
      });
      expect([byStatus.spec.retain, byStatus.status?.phase]).toEqual([undefined, 'Ready']);
      const back = { spec: { retain: true }, status: { phase: 'Pending' } };
      const byMain = await client().mergePatch<CachedImage>(CACHED_IMAGES, { name }, back);
      expect([byMain.spec.retain, byMain.status?.phase]).toEqual([true, 'Ready']);
    });

    it('is refused on another version than the one it names', async () => {
      const name = unique('versioned');
      const made = await client().create(CACHED_IMAGES, image(name));
      const { resourceVersion } = made.metadata;
      const patch = (value: string) => ({ metadata: { resourceVersion, annotations: { by: value } } });
      await client().mergePatch(CACHED_IMAGES, { name }, patch('first'));
      await expect(client().mergePatch(CACHED_IMAGES, { name }, patch('second'))).rejects.toMatchObject({
        code: 'conflict',
      });
    });

    it('changes no version when it changes nothing', async () => {
      const name = unique('idle');
      const made = await client().create(CACHED_IMAGES, image(name));
      const same = await client().mergePatch(
        CACHED_IMAGES,
        { name },
        { spec: { sourceImage: 'docker.io/library/nginx:1.27' } },
      );
      expect(same.metadata.resourceVersion).toBe(made.metadata.resourceVersion);
    });
  });

  describe('delete', () => {
    it('says whether there was anything to delete', async () => {
      const name = unique('gone');
      await client().create(CACHED_IMAGES, image(name));
      expect(await client().delete(CACHED_IMAGES, { name })).toBe(true);
      expect(await client().delete(CACHED_IMAGES, { name })).toBe(false);
    });

    it.each(['uid', 'resourceVersion'] as const)('is refused when the %s is another', async (field) => {
      const name = unique('guarded');
      const made = await client().create(CACHED_IMAGES, image(name));
      const wrong = { uid: '00000000-0000-4000-8000-000000000000', resourceVersion: '1' }[field];
      await expect(client().delete(CACHED_IMAGES, { name }, { [field]: wrong })).rejects.toMatchObject({
        code: 'conflict',
      });
      expect(await client().delete(CACHED_IMAGES, { name }, { [field]: made.metadata[field] })).toBe(true);
    });

    it('waits for finalizers', async () => {
      const name = unique('held');
      const held = { ...image(name), metadata: { name, finalizers: ['kuik.enix.io/cached-image'] } };
      await client().create(CACHED_IMAGES, held);
      await client().delete(CACHED_IMAGES, { name });
      const dying = await client().get<KubeObject>(CACHED_IMAGES, { name });
      expect(dying.metadata.deletionTimestamp).toMatch(/Z$/);
      await client().mergePatch(CACHED_IMAGES, { name }, { metadata: { finalizers: null } });
      await expect(client().get(CACHED_IMAGES, { name })).rejects.toMatchObject({ code: 'not-found' });
    });
  });
}
