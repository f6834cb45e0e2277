import { beforeEach, describe, expect, it } from '@jest/globals';
import { anchorTag } from '@kuik/image';
import { Families } from './referrer-tags.ts';

const signal = new AbortController().signal;
const digestOf = (number: number) => `sha256:${number.toString(16).padStart(64, '0')}`;
/** An index lists two: `10n + 1` and `10n + 2`. */
const indexes = [1, 2, 3].map((number) => digestOf(number));
const listOf = (index: string) => [1, 2].map((at) => digestOf(10 * (indexes.indexOf(index) + 1) + at));

describe('families', () => {
  let read: string[];
  beforeEach(() => {
    read = [];
  });
  const client = {
    openManifest: (digest: string) => {
      read.push(digest);
      const mediaType = 'application/vnd.oci.image.manifest.v1+json';
      const manifests = listOf(digest).map((one) => ({ mediaType, digest: one, size: 1 }));
      const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, manifests }));
      return Promise.resolve({ digest, mediaType: 'application/vnd.oci.image.index.v1+json', size: 1, bytes });
    },
  };
  const claim = (index: string) => {
    const anchors = [anchorTag(index)];
    return { uid: index, repository: 'app', tags: [], anchors, indexes: anchors, held: anchors, leaving: false };
  };
  const all = new Set(indexes.flatMap((index) => [index, ...listOf(index)]));
  const of = async (families: Families, index: string, subjects: ReadonlySet<string> = all) => [
    ...(await families.of(client, claim(index), subjects, signal)).digests,
  ];

  it('are of the digests that are asked about, also when others were before', async () => {
    const [index] = indexes as [string];
    const [first, second] = listOf(index) as [string, string];
    const families = new Families();
    expect(await of(families, index, new Set([first]))).toEqual([first]);
    expect(await of(families, index, new Set([index, second]))).toEqual([index, second]);
    expect(read).toEqual([index]);
  });

  it('forget what they read first when it is too much', async () => {
    const [one, two, three] = indexes as [string, string, string];
    const families = new Families(6);
    for (const index of indexes) expect(await of(families, index)).toEqual([index, ...listOf(index)]);
    for (const index of [two, three, one]) await of(families, index);
    expect(read).toEqual([one, two, three, one]);
  });
});
