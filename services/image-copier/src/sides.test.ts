import { describe, expect, it } from '@jest/globals';
import type { ByteSink, RepositoryClient, Upload } from '@kuik/registry';
import { Sides } from './sides.ts';

const failing = (error: Error): RepositoryClient =>
  ({
    host: 'h',
    headManifest: () => Promise.reject(error),
    openBlob: () => Promise.resolve({ totalSize: 3, deliver: () => Promise.reject(error) }),
  }) as unknown as RepositoryClient;

const taking = (take: ByteSink): RepositoryClient =>
  ({
    host: 'c',
    startUpload: () =>
      Promise.resolve({
        mounted: false,
        upload: { putWhole: (source: (sink: ByteSink) => Promise<void>) => source(take) } as unknown as Upload,
      }),
  }) as unknown as RepositoryClient;

async function copyOne(source: RepositoryClient, target: RepositoryClient): Promise<void> {
  const started = await target.startUpload();
  if (started.mounted) return;
  const blob = await source.openBlob('d');
  await started.upload.putWhole((sink) => blob.deliver(sink), blob.totalSize, 'd');
}

describe('Sides', () => {
  it('knows whose request failed', async () => {
    const sides = new Sides();
    const error = new Error('no');
    await expect(sides.watch(failing(error), 'cache').headManifest('t')).rejects.toBe(error);
    expect(sides.of(error)).toBe('cache');
  });

  it('blames upstream for a body that breaks while it is uploaded', async () => {
    const sides = new Sides();
    const error = new Error('cut');
    const copying = copyOne(
      sides.watch(failing(error), 'upstream'),
      sides.watch(
        taking(() => undefined),
        'cache',
      ),
    );
    await expect(copying).rejects.toBe(error);
    expect(sides.of(error)).toBe('upstream');
  });

  it('blames the cache for bytes that it does not take', async () => {
    const sides = new Sides();
    const error = new Error('disk full');
    const source = {
      openBlob: () => Promise.resolve({ totalSize: 1, deliver: (sink: ByteSink) => sink(Buffer.from('x')) }),
    } as unknown as RepositoryClient;
    const copying = copyOne(
      sides.watch(source, 'upstream'),
      sides.watch(
        taking(() => Promise.reject(error)),
        'cache',
      ),
    );
    await expect(copying).rejects.toBe(error);
    expect(sides.of(error)).toBe('cache');
  });

  it.each([
    ['its own', () => Promise.reject(new Error('wrong digest')), 'upstream'],
    ['of a sink that throws at once', async (sink: ByteSink) => sink(Buffer.from('x')), 'cache'],
  ])('tells an error of the source from one that is %s', async (_name, source, side) => {
    const sides = new Sides();
    const client = taking(() => {
      throw new Error('closed');
    });
    const started = await sides.watch(client, 'cache').startUpload();
    if (started.mounted) throw new Error('mounted');
    const error: unknown = await started.upload.putWhole(source as never, 1, 'd').catch((caught: unknown) => caught);
    expect(sides.of(error)).toBe(side);
  });

  it('keeps values and plain methods as they are', () => {
    expect(new Sides().watch(failing(new Error('x')), 'cache').host).toBe('h');
    expect(new Sides().of('not an object')).toBe('upstream');
  });
});
