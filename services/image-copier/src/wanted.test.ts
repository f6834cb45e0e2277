import { describe, expect, it } from '@jest/globals';
import type { Descriptor } from '@kuik/registry';
import { platformsOf, wantsOf, type Wanted } from './wanted.ts';

const child = (architecture: string, digest: string): Descriptor => ({
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  digest,
  size: 1,
  platform: { os: architecture === 'unknown' ? 'unknown' : 'linux', architecture },
});
const wanted = (change: Partial<Wanted> = {}): Wanted => ({
  platforms: ['linux/amd64'],
  pulledBefore: [],
  pulled: [],
  ...change,
});

describe('wantsOf', () => {
  it.each<[string, Wanted, Descriptor, boolean]>([
    ['a platform of the nodes', wanted(), child('amd64', 'sha256:1'), true],
    ['another platform', wanted(), child('arm64', 'sha256:2'), false],
    ['an attestation, for itself', wanted(), child('unknown', 'sha256:3'), false],
    ['an attestation that was pulled', wanted({ pulled: ['sha256:3'] }), child('unknown', 'sha256:3'), true],
    ['what was pulled through', wanted({ pulled: ['sha256:2'] }), child('arm64', 'sha256:2'), true],
    [
      'what was pulled through under an older digest',
      wanted({ pulledBefore: ['linux/arm64'] }),
      child('arm64', 'sha256:9'),
      true,
    ],
  ])('%s', (_name, one, descriptor, is) => {
    expect(wantsOf(one)?.(descriptor)).toBe(is);
  });

  it('is everything when nothing is said', () => expect(wantsOf(undefined)).toBeUndefined());
});

describe('platformsOf', () => {
  const found = [
    { platform: 'linux/amd64', digest: 'sha256:1', state: 'held' },
    { platform: 'linux/amd64', digest: 'sha256:1b', state: 'held' },
    { platform: 'linux/arm64', digest: 'sha256:2', state: 'held' },
    { platform: 'linux/s390x', digest: 'sha256:5', state: 'left' },
    { platform: 'linux/ppc64le', digest: 'sha256:6', state: 'absent' },
  ];
  const kept = {
    platforms: ['linux/amd64', 'linux/arm64'],
    platformsOnDemand: ['linux/s390x'],
    platformsAbsent: ['linux/ppc64le'],
  };

  it.each<[string, Wanted | undefined, string[]]>([
    ['everything was wanted', undefined, []],
    ['it was there for another reason', wanted(), []],
    ['it was pulled through', wanted({ pulled: ['sha256:2', 'sha256:1'] }), ['linux/arm64']],
    ['it was pulled through before', wanted({ pulledBefore: ['linux/arm64', 'linux/s390x'] }), ['linux/arm64']],
    ['a node runs it by now', wanted({ platforms: ['linux/amd64', 'linux/arm64'], pulledBefore: ['linux/arm64'] }), []],
  ])('says what is kept because it was pulled: %s', (_name, one, platformsPulled) => {
    expect(platformsOf(found, one)).toEqual({ ...kept, platformsPulled });
  });
});
