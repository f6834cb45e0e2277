import { describe, expect, it } from '@jest/globals';
import type { Repository } from '@kuik/contracts';
import { recordedRepositorySummary, summariseRepository } from './repository-summary.ts';
import { at, cachedImage, cacheStanza, failedCopy, NOW, repository, upstreamStanza } from './testing/objects.ts';

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

  it.each([
    ['no wish', {}, undefined],
    ['a wish', { updateInterval: '1h', updateFilters: ['a'] }, { status: 'True', reason: 'Scheduled' }],
    [
      'v1 defect: an interval of zero stops its controller',
      { updateInterval: '-1h' },
      { status: 'False', reason: 'IntervalInvalid' },
    ],
    [
      'a filter that is no pattern',
      { updateInterval: '1h', updateFilters: ['('] },
      { status: 'False', reason: 'FilterInvalid' },
    ],
  ])('says what becomes of updates: %s', (_name, spec, expected) => {
    const { conditions, phase } = summariseRepository(repository({ spec }), [ready], NOW);
    const found = conditions?.find(({ type }) => type === 'Updates');
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject({ ...expected, message: expect.any(String) });
    expect(phase).toBe('Ready');
  });

  it('v1 defect: the last pod of any namespace overwrites the pull secrets (they are merged)', () => {
    const of = (...secrets: [string, string][]) =>
      cachedImage({ status: { pullSecrets: secrets.map(([namespace, name]) => ({ namespace, name })) } });
    const spec = { pullSecretsNamespace: 'infra', pullSecretNames: ['robot'] };
    const images = [of(['shop', 'b'], ['shop', 'a']), of(['blog', 'a'], ['shop', 'a']), of()];
    const { pullSecrets } = summariseRepository(repository({ spec }), images, NOW);
    expect(pullSecrets?.map(({ namespace, name }) => `${namespace}/${name}`)).toEqual([
      'blog/a',
      'infra/robot',
      'shop/a',
      'shop/b',
    ]);
    expect(summariseRepository(repository(), [of()], NOW)).not.toHaveProperty('pullSecrets');
  });

  it.each<[string, Partial<Repository['spec']>, object | undefined]>([
    ['without their namespace', { pullSecretNames: ['robot'] }, { status: 'False', reason: 'NamespaceMissing' }],
    [
      'with none in its place',
      { pullSecretNames: ['robot'], pullSecretsNamespace: '' },
      { status: 'False', reason: 'NamespaceMissing' },
    ],
    ['with it', { pullSecretNames: ['robot'], pullSecretsNamespace: 'infra' }, undefined],
    ['none', { pullSecretNames: [] }, undefined],
  ])('says that secrets which a person named are ignored: %s', (_name, spec, expected) => {
    const { conditions, phase, pullSecrets } = summariseRepository(repository({ spec }), [ready], NOW);
    const found = conditions?.find(({ type }) => type === 'PullSecrets');
    if (expected === undefined) expect(found).toBeUndefined();
    else expect(found).toMatchObject({ ...expected, message: expect.stringContaining('spec.pullSecretsNamespace') });
    expect(phase).toBe('Ready');
    expect(pullSecrets === undefined).toBe(spec.pullSecretsNamespace !== 'infra');
  });

  it('says that another object counts', () => {
    const { conditions } = summariseRepository(repository(), [], NOW, 'first');
    expect(conditions?.[1]).toMatchObject({ type: 'Duplicate', status: 'True', reason: 'SameRepository' });
  });

  it('says when it is being deleted', () => {
    const leaving = repository({ metadata: { deletionTimestamp: at(0) } });
    expect(summariseRepository(leaving, [ready], NOW).phase).toBe('Terminating');
  });

  const asked = (ms: number) => cachedImage({ status: { upstream: upstreamStanza({ lastSeen: at(ms) }) } });

  it.each([
    ['nobody was asked', undefined, [waiting], undefined],
    ['no images', undefined, [], undefined],
    ['the newest look at any image', undefined, [asked(-5), waiting, asked(-2), asked(-3)], at(-2)],
    ['a failed copy asked, too', undefined, [failed], at(-60_000)],
    ['newer than what is written', at(-4), [asked(-1)], at(-1)],
    ['never goes back', at(-4), [asked(-9)], at(-4)],
    ['stays when its image is gone', at(-4), [], at(-4)],
  ])('says when upstream was last asked: %s', (_name, written, images, expected) => {
    const before = { ...repository(), status: written === undefined ? {} : { lastUpdate: written } };
    expect(summariseRepository(before, images, NOW).lastUpdate).toBe(expected);
  });

  it('is at rest when nothing changed', () => {
    const first = summariseRepository(repository(), [ready], NOW);
    const written = { ...repository(), status: first };
    expect(summariseRepository(written, [ready], NOW + 1e9)).toEqual(first);
    expect(recordedRepositorySummary(written)).toEqual(first);
    expect(summariseRepository(written, [waiting], NOW + 5).conditions?.[0]?.lastTransitionTime).toBe(at(5));
  });
});
