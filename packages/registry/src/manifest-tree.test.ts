import { describe, expect, it } from '@jest/globals';
import { attestationOf, indexOf, makeImage, type IndexChild } from '@kuik/testbed';
import { lackingOf, walkManifests, type WalkOptions } from './manifest-tree.ts';
import { memoryRegistry } from './memory.ts';
import { platformOf } from './plan.ts';

const child = async (architecture: string): Promise<IndexChild> => ({
  image: await makeImage({ seed: architecture, platform: `linux/${architecture}` }),
  platform: { os: 'linux', architecture },
});
const [amd64, arm64] = [await child('amd64'), await child('arm64')];
const unnamed: IndexChild = { image: { ...amd64.image, platforms: {} } };
const attests = (one: IndexChild): IndexChild => attestationOf(one.image);
const silent = ({ annotations: _, ...one }: IndexChild): IndexChild => one;
const { digest: other } = attests(arm64).image;

describe('an attestation in an index', () => {
  const wants: WalkOptions['wants'] = (one) => platformOf(one) === 'linux/amd64';

  it.each<[string, IndexChild[], WalkOptions['wants'], boolean]>([
    ['of a platform that is wanted is taken', [amd64, arm64, attests(amd64)], wants, true],
    ['of one that is not is left', [amd64, arm64, attests(arm64)], wants, false],
    ['of one that is not, listed before it, is left', [attests(arm64), arm64, amd64], wants, false],
    ['of one that is not, in an index below, is left', [{ image: indexOf([arm64, attests(arm64)]) }], wants, false],
    ['that is wanted itself is taken', [amd64, arm64, attests(arm64)], ({ digest }) => digest === other, true],
    ['of any platform is taken when all are', [arm64, attests(arm64)], undefined, true],
    ['of what has no platform is taken', [arm64, unnamed, attests(unnamed)], wants, true],
    ['of nothing in the index is taken', [amd64, attests(arm64)], wants, true],
    ['that does not say of what is taken', [arm64, silent(attests(arm64))], wants, true],
  ])('%s', async (_name, children, which, taken) => {
    const index = indexOf(children);
    const registry = memoryRegistry();
    const source = registry.repository('up.test', 'app');
    for (const blob of index.blobs) registry.putBlob('up.test', 'app', Buffer.concat([...blob.open()]), blob.digest);
    for (const { digest, bytes, mediaType } of index.manifests) await source.putManifest(digest, bytes, mediaType);
    const tree = await walkManifests(source, await source.openManifest(index.digest), { wants: which });
    const attestation = index.manifests.find(({ bytes }) => bytes.includes('application/vnd.in-toto+json'))!;
    expect(tree.descendants.some(({ digest }) => digest === attestation.digest)).toBe(taken);
    expect(tree.left.has(attestation.digest)).toBe(!taken);
    expect(new Set(lackingOf(tree).map(({ digest }) => digest))).toEqual(tree.left);
    expect(tree.platforms.map(({ platform }) => platform)).not.toContain('unknown/unknown');
  });
});
