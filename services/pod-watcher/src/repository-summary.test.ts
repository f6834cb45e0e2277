import { describe, expect, it } from '@jest/globals';
import { isUntouched, recordedRepositorySummary, summariseRepository } from './repository-summary.ts';
import { at, cachedImage, cacheStanza, failedCopy, NOW, repository } from './testing/objects.ts';

const ready = cachedImage({ status: { cache: cacheStanza() } });
const waiting = cachedImage();
const failed = cachedImage({ status: { cache: failedCopy() } });
const never = cachedImage({ spec: { sourceImage: '[::1]/a' } });

describe('summariseRepository', () => {
  it.each([
    ['no images', [], 'Ready', 'UpToDate'],
    ['all cached', [ready, ready], 'Ready', 'UpToDate'],
    ['one waits', [ready, waiting], 'Pulling', 'Pulling'],
    ['one fails', [ready, waiting, failed], 'ErrImagePull', 'ErrImagePull'],
    ['one can never be cached', [ready, never], 'ErrImagePull', 'ErrImagePull'],
  ])('%s', (_name, images, phase, reason) => {
    const summary = summariseRepository(repository(), images, NOW);
    expect(summary).toMatchObject({ images: images.length, phase, conditions: [{ type: 'Ready', reason }] });
  });

  it('says when it is being deleted', () => {
    const leaving = repository({ metadata: { deletionTimestamp: at(0) } });
    expect(summariseRepository(leaving, [ready], NOW).phase).toBe('Terminating');
  });

  it('is at rest when nothing changed', () => {
    const first = summariseRepository(repository(), [ready], NOW);
    const written = { ...repository(), status: first };
    expect(summariseRepository(written, [ready], NOW + 1e9)).toEqual(first);
    expect(recordedRepositorySummary(written)).toEqual(first);
    expect(summariseRepository(written, [waiting], NOW + 5).conditions?.[0]?.lastTransitionTime).toBe(at(5));
  });

  it.each([
    ['ours', {}, {}, true],
    ['with wishes', { updateInterval: '1h' }, {}, false],
    ['annotated', {}, { annotations: { note: 'mine' } }, false],
  ])('is untouched: %s', (_name, spec, metadata, expected) => {
    expect(isUntouched(repository({ spec, metadata }))).toBe(expected);
  });
});
