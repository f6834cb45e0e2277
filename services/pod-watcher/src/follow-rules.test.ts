import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { NAMESPACES } from '@kuik/kube';
import { rereadHolders } from './reread-holders.ts';
import { IMAGE } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

const OTHER = 'quay.io/a/b:1';
let folder: string;
let world: ReturnType<typeof createWorld>;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kuik-rules-'));
  file = path.join(folder, 'rules.yaml');
  world = createWorld({ KUIK_RULES_FILE: file });
});
afterEach(async () => {
  await world.close();
  rmSync(folder, { recursive: true });
});
const rules = (text: string) => writeFileSync(file, text);
const holders = (image: string) => world.image(image)?.status?.usedBy?.count;
const held = (image: string, count: number) =>
  eventually(`${count} holders of ${image}`, () => holders(image) === count);
const lists = (resource: string) =>
  world.kube.calls.filter((call) => call.verb === 'list' && call.resource === resource).length;

describe('the rules of a running service', () => {
  it('decide every pod anew when they change, without another list', async () => {
    rules('ignoreImages: ["^quay"]');
    world.pod('web', IMAGE);
    world.pod('tool', OTHER);
    await world.replica().start();
    await held(IMAGE, 1);
    expect(world.image(OTHER)).toBeUndefined();
    const before = lists('pods');
    rules('ignoreImages: ["^registry"]');
    await held(OTHER, 1);
    await held(IMAGE, 0);
    expect(lists('pods')).toBe(before);
    expect(lists('namespaces')).toBe(0);
  });

  it('hold for pods that exist already: observed ones are cached as well, where the mode is off none is, and no pod is changed', async () => {
    rules('namespaces: { watched: { mode: observe }, silent: { mode: off } }');
    world.pod('web', IMAGE);
    world.pod('observed', IMAGE, { metadata: { namespace: 'watched' } });
    world.pod('off', OTHER, { metadata: { namespace: 'silent' } });
    await world.replica().start();
    await held(IMAGE, 2);
    expect(world.image(OTHER)).toBeUndefined();
    const verbs = world.kube.calls.filter(({ resource }) => resource === 'pods').map(({ verb }) => verb);
    expect(new Set(verbs)).toEqual(new Set(['list', 'watch']));
  });

  it('look at annotations that were not kept so far', async () => {
    rules('');
    world.pod('web', IMAGE, { metadata: { annotations: { 'keep-out': 'yes' } } });
    world.pod('tool', OTHER);
    await world.replica().start();
    await held(IMAGE, 1);
    rules('skipAnnotations: ["keep-out=yes"]');
    await held(IMAGE, 0);
    expect(holders(OTHER)).toBe(1);
  });

  it("follow Namespaces while they select by their labels, and a namespace's change", async () => {
    const namespace = (labels: Record<string, string>) =>
      world.kube.put(NAMESPACES, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'default', labels } });
    namespace({ tier: 'dev' });
    rules('namespaceSelector: { matchLabels: { tier: prod } }');
    world.pod('web', IMAGE);
    world.pod('elsewhere', OTHER, { metadata: { namespace: 'unknown' } });
    await world.replica().start();
    // Of a namespace whose labels are not known nothing is decided by them.
    await held(OTHER, 1);
    expect(world.image(IMAGE)).toBeUndefined();
    namespace({ tier: 'prod' });
    await held(IMAGE, 1);
    namespace({ tier: 'dev' });
    await held(IMAGE, 0);
  });

  it('end the start when they have mistakes', () => {
    rules('mode: on\nignoreImage: []');
    expect(() => world.replica()).toThrow('2 configuration mistakes');
  });
});

describe('rereadHolders', () => {
  const view = (keys: string[], seen: string[]) => ({
    usage: { keys: () => keys.values() },
    rereadHolder: (key: string) => void seen.push(key),
  });
  const keys = Array.from({ length: 1_000 }, (_, index) => `default/${index}`);

  it('lets others have their turn between slices, and decides every pod', async () => {
    const seen: string[] = [];
    let turns = 0;
    const others = (): void => {
      turns += 1;
      if (seen.length < keys.length) setImmediate(others);
    };
    setImmediate(others);
    await rereadHolders(view(keys, seen), () => false);
    expect(seen).toEqual(keys);
    expect(turns).toBeGreaterThan(0);
  });

  it('ends when it is stale', async () => {
    const seen: string[] = [];
    await rereadHolders(view(keys, seen), () => true);
    expect(seen.length).toBeGreaterThan(0);
    expect(seen.length).toBeLessThan(keys.length);
  });
});
