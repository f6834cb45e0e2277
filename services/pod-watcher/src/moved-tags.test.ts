import { describe, expect, it } from '@jest/globals';
import { silentLogger } from '@kuik/runtime';
import { MovedTags } from './moved-tags.ts';
import { at, cachedImage, cacheStanza, OTHER_DIGEST } from './testing/objects.ts';

const image = cachedImage({ status: { cache: cacheStanza() } });
const hint = (digest: string, reference = image.spec.sourceImage) => ({ node: 'n', reference, digest });

function world() {
  const clock = { now: 0 };
  return { clock, tags: new MovedTags({ now: () => clock.now, log: silentLogger }) };
}

describe('MovedTags', () => {
  it('sends somebody once for a while, however many nodes tell of it', () => {
    const { clock, tags } = world();
    expect(tags.wants(image)).toBe(false);
    expect(tags.take(hint(OTHER_DIGEST))).toBe(image.spec.sourceImage);
    expect(tags.wants(image)).toBe(true);
    tags.sent(image);
    tags.take(hint(OTHER_DIGEST));
    clock.now = 29_999;
    expect(tags.wants(image)).toBe(false);
    clock.now = 30_000;
    expect(tags.wants(image)).toBe(true);
  });

  it('is content once that digest is cached, and nothing is wanted of an image that is not', () => {
    const { clock, tags } = world();
    tags.take(hint(OTHER_DIGEST));
    expect(tags.wants(cachedImage())).toBe(false);
    const copied = cachedImage({ status: { cache: cacheStanza({ digest: OTHER_DIGEST }) } });
    expect(tags.wants(copied)).toBe(false);
    clock.now = 60_000;
    expect(tags.wants(image)).toBe(false);
  });

  it('is content with a copy that found yet another digest', () => {
    const { clock, tags } = world();
    tags.take(hint(OTHER_DIGEST));
    tags.sent(image);
    clock.now = 30_000;
    expect(tags.wants(image)).toBe(true);
    const later = cachedImage({
      status: { cache: cacheStanza({ digest: `sha256:${'3'.repeat(64)}`, copiedAt: at(1) }) },
    });
    expect(tags.wants(later)).toBe(false);
    clock.now = 90_000;
    expect(tags.wants(later)).toBe(false);
  });

  it.each(['not a:reference:', `docker.io/library/nginx@${OTHER_DIGEST}`])('takes no hint about %s', (reference) => {
    expect(world().tags.take(hint(OTHER_DIGEST, reference))).toBeUndefined();
  });
});
