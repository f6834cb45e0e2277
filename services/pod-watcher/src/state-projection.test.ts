import { describe, expect, it } from '@jest/globals';
import type { Bucket } from '@kuik/bus';
import { memoryBus } from '@kuik/bus/memory';
import { type CachedImage, IMAGE_STATE, type ImageState, project } from '@kuik/contracts';
import { ClusterView } from './cluster-view.ts';
import { StateProjection } from './state-projection.ts';
import { cachedImage, cacheStanza, deciderOf, DIGEST, IMAGE, NOW, OTHER_DIGEST } from './testing/objects.ts';

const KEY = project(cachedImage())!.key;
const at = (resourceVersion: string, digest?: string): CachedImage =>
  cachedImage({
    metadata: { resourceVersion },
    ...(digest === undefined ? {} : { status: { cache: cacheStanza({ digest }) } }),
  });
const stateOf = (image: CachedImage): ImageState => project(image)!.state;

function setup() {
  const bus = memoryBus();
  const bucket = bus.bucket(IMAGE_STATE, { create: true });
  const writes: string[] = [];
  const reads: string[] = [];
  const counting: Bucket<ImageState> = {
    get: (key, options) => {
      reads.push(key);
      return bucket.get(key, options);
    },
    keys: () => bucket.keys(),
    follow: (onChange) => bucket.follow(onChange),
    compareAndSet: async (key, value, expected) => {
      writes.push('cas');
      await hook();
      return bucket.compareAndSet(key, value, expected);
    },
    put: (key, value) => {
      writes.push('put');
      return bucket.put(key, value);
    },
    delete: (key) => {
      writes.push('delete');
      return bucket.delete(key);
    },
  };
  let hook = (): Promise<unknown> => Promise.resolve();
  const onWrite = (next: () => Promise<unknown>): void => {
    hook = async () => {
      hook = () => Promise.resolve();
      await next();
    };
  };
  const view = new ClusterView({ decider: deciderOf(), completedHoldMs: 0, revisionsKept: 1 }, () => NOW);
  const projection = new StateProjection(counting, view);
  const stored = async () => (await bucket.get(KEY))?.value;
  return { bucket, view, projection, reads, writes, onWrite, stored };
}
const running = new AbortController().signal;

describe('StateProjection', () => {
  it('puts a change, and does not repeat what is there', async () => {
    const { view, projection, reads, writes, stored } = setup();
    view.putImage(at('10', DIGEST));
    await projection.update(IMAGE);
    expect(await stored()).toEqual(stateOf(at('10', DIGEST)));
    view.putImage(at('11', DIGEST));
    await projection.update(IMAGE);
    expect([reads, writes]).toEqual([[KEY], ['cas']]);
    view.putImage(at('12', OTHER_DIGEST));
    await projection.update(IMAGE);
    expect((await stored())?.digest).toBe(OTHER_DIGEST);
  });

  it('never goes back behind a newer word, also when it comes at the last moment', async () => {
    const { bucket, view, projection, onWrite, stored } = setup();
    view.putImage(at('10', DIGEST));
    onWrite(() => bucket.put(KEY, stateOf(at('15', OTHER_DIGEST))));
    await projection.update(IMAGE);
    expect((await stored())?.resourceVersion).toBe('15');
    await projection.update(IMAGE);
    expect((await stored())?.digest).toBe(OTHER_DIGEST);
  });

  it('goes over an older word that comes at the last moment', async () => {
    const { bucket, view, projection, onWrite, stored } = setup();
    view.putImage(at('10', DIGEST));
    onWrite(() => bucket.put(KEY, stateOf(at('9'))));
    await projection.update(IMAGE);
    expect((await stored())?.digest).toBe(DIGEST);
  });

  it('with the full list: overwrites whatever differs, removes what is gone, writes nothing that is right', async () => {
    const { bucket, view, projection, writes, stored } = setup();
    view.putImage(at('10', DIGEST));
    view.putImage(cachedImage({ metadata: { name: 'b', uid: 'b' }, spec: { sourceImage: 'quay.io/a/b:1' } }));
    await bucket.put(KEY, stateOf(at('99', OTHER_DIGEST)));
    await bucket.put('00.00', stateOf(at('1')));
    expect(await projection.overwrite(running)).toBe(3);
    expect((await stored())?.digest).toBe(DIGEST);
    expect((await bucket.keys()).sort()).toHaveLength(2);
    writes.length = 0;
    expect(await projection.overwrite(running)).toBe(0);
    expect(writes).toEqual([]);
  });

  it('stops when it is told to', async () => {
    const { view, projection } = setup();
    view.putImage(at('10', DIGEST));
    await expect(projection.overwrite(AbortSignal.abort(new Error('closing')))).rejects.toThrow('closing');
  });

  it('forgets the state of a gone object, not of the one that was made anew', async () => {
    const { bucket, view, projection, stored } = setup();
    const anew = cachedImage({ metadata: { uid: 'uid-2', resourceVersion: '20' } });
    view.putImage(anew);
    await projection.update(IMAGE);
    await projection.forget(at('10', DIGEST));
    expect((await stored())?.uid).toBe('uid-2');
    await projection.forget(anew);
    expect(await bucket.keys()).toEqual([]);
  });
});
