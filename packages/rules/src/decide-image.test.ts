import { describe, expect, it } from '@jest/globals';
import { formatReference, toProxyImage } from '@kuik/image';
import { sized } from '@kuik/tooling';
import fc from 'fast-check';
import { compileImageRules } from './compile-rules.ts';
import { decideImage as decide } from './decide-image.ts';
import { REASONS } from './decision.ts';
import { DecisionMemo } from './decision-memo.ts';
import { rulesFile, type WrittenRules } from './rules-file.ts';

const PREFIXES = ['localhost:7439', 'localhost:4242'];
const rulesOf = (texts: WrittenRules = {}) =>
  compileImageRules(rulesFile.parse({ ignorePullPolicyAlways: false, ...texts }));
const hex = 'a'.repeat(64);

describe('decideImage', () => {
  it.each([
    ['nginx', 'localhost:7439/docker.io/library/nginx:latest'],
    ['nginx:1.27', 'localhost:7439/docker.io/library/nginx:1.27'],
    ['index.docker.io/nginx', 'localhost:7439/docker.io/library/nginx:latest'],
    ['ghcr.io/acme/api:v2', 'localhost:7439/ghcr.io/acme/api:v2'],
    [`quay.io/x/tool@sha256:${hex}`, `localhost:7439/quay.io/x/tool@sha256:${hex}`],
    [`quay.io/x/tool:1@sha256:${hex}`, `localhost:7439/quay.io/x/tool:1@sha256:${hex}`],
    ['185.145.250.247:30042/alpine', 'localhost:7439/185.145.250.247__30042/alpine:latest'],
    ['myregistry:5000/img:1', 'localhost:7439/myregistry__5000/img:1'],
    ['harbor.prod-1/img:1', 'localhost:7439/harbor.prod-1/img:1'],
    ['Registry.Example.TEST/a:V1', 'localhost:7439/registry.example.test/a:V1'],
    ['host__5000/x:1', 'localhost:7439/docker.io/host__5000/x:1'],
  ])('sends %s through the proxy', (image, expected) => {
    expect(decide(image, undefined, rulesOf(), PREFIXES)).toMatchObject({
      verdict: 'rewrite',
      reason: 'Rewritten',
      rule: 'default',
      image: expected,
    });
  });

  it.each([
    ['localhost:7439/docker.io/library/nginx:1', REASONS.alreadyRewritten, 'docker.io/library/nginx:1'],
    ['localhost:4242/185.145.250.247__30042/alpine:1', REASONS.alreadyRewritten, '185.145.250.247:30042/alpine:1'],
    ['localhost:7439/nginx', REASONS.alreadyRewritten, 'docker.io/library/nginx:latest'],
    ['localhost:7439/UPPER/x', REASONS.proxyImageUnreadable, undefined],
    ['localhost:7439/', REASONS.proxyImageUnreadable, undefined],
    ['localhost:7439/a/b@sha256:short', REASONS.proxyImageUnreadable, undefined],
    ['invalid:image:8080', REASONS.notAReference, undefined],
    ['', REASONS.notAReference, undefined],
    ['UPPER/case', REASONS.notAReference, undefined],
    [hex, REASONS.notAReference, undefined],
    ['x'.repeat(5000), REASONS.notAReference, undefined],
    ['localhost:5000/app:1', REASONS.localRegistry, undefined],
    ['localhost/app', REASONS.localRegistry, undefined],
    ['127.0.0.1:5000/app', REASONS.localRegistry, undefined],
    ['registry.localhost:5000/app', REASONS.localRegistry, undefined],
    ['[::1]:5000/app', REASONS.localRegistry, undefined],
    ['[fd00::1]:5000/app', REASONS.notEncodable, undefined],
    [`${'h'.repeat(60)}.example.test/${'p'.repeat(200)}:1`, REASONS.notEncodable, undefined],
  ])('case %#: leaves an image as it is, for the reason given', (image, reason, reference) => {
    const decision = decide(image, undefined, rulesOf(), PREFIXES);
    const verdict = reference === undefined ? 'keep' : 'observe';
    expect(decision).toMatchObject({ verdict, reason, image });
    expect(decision.reference).toBe(reference);
  });

  it.each([
    ['Never', 'keep', 'PullPolicyNever'],
    ['Always', 'rewrite', 'Rewritten'],
    ['IfNotPresent', 'rewrite', 'Rewritten'],
    [undefined, 'rewrite', 'Rewritten'],
  ])('pull policy %s: %s', (policy, verdict, reason) => {
    expect(decide('nginx', policy, rulesOf(), PREFIXES)).toMatchObject({ verdict, reason });
  });

  it.each([
    ['nginx:1.0.0', 'Always', true],
    ['nginx:latest', undefined, true],
    ['nginx', undefined, true],
    ['nginx', '', true],
    // kuik v1 took the port for a tag.
    ['registry.example.test:5000/app', undefined, true],
    ['nginx:latest', 'IfNotPresent', false],
    ['nginx:1.0.0', undefined, false],
    [`nginx@sha256:${hex}`, undefined, false],
    [`nginx@sha256:${hex}`, 'Always', true],
    ['nginx:1.0.0', 'Never', false],
  ])('%s with policy %s is one that kubelet asks for at each start: %s', (image, policy, always) => {
    const { reason } = decide(image, policy, rulesOf({ ignorePullPolicyAlways: true }), PREFIXES);
    expect(reason === 'PullPolicyAlways').toBe(always);
  });

  it.each<[string, WrittenRules, string, string, string]>([
    ['ignored by its canonical form', { ignoreImages: ['^docker\\.io/'] }, 'nginx', 'Ignored', 'ignoreImages[0]'],
    ['ignored as it was written', { ignoreImages: ['alpine', '^nginx$'] }, 'nginx', 'Ignored', 'ignoreImages[1]'],
    ['the first of two that match', { ignoreImages: ['nginx', 'nginx'] }, 'nginx', 'Ignored', 'ignoreImages[0]'],
    ['not ignored', { ignoreImages: ['alpine'] }, 'nginx', 'Rewritten', 'default'],
    ['accepted', { acceptImages: ['^quay\\.io/', 'nginx'] }, 'nginx', 'Rewritten', 'acceptImages[1]'],
    ['not accepted', { acceptImages: ['^quay\\.io/'] }, 'nginx', 'NotAccepted', 'acceptImages'],
    [
      'ignored wins over accepted',
      { ignoreImages: ['nginx'], acceptImages: ['nginx'] },
      'nginx',
      'Ignored',
      'ignoreImages[0]',
    ],
    [
      'a port in a pattern',
      { acceptImages: ['185.145.250.247\\:30042'] },
      '185.145.250.247:30042/alpine',
      'Rewritten',
      'acceptImages[0]',
    ],
  ])('%s', (_, texts, image, reason, rule) => {
    expect(decide(image, undefined, rulesOf(texts), PREFIXES)).toMatchObject({ reason, rule });
  });

  it('answers in linear time what a backtracking engine would not', () => {
    const started = performance.now();
    const rules = rulesOf({ ignoreImages: ['^(a+)+$'] });
    expect(decide(`${'a'.repeat(200)}/b`, undefined, rules, PREFIXES).reason).toBe('Rewritten');
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('is idempotent, and never throws', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string({ maxLength: 300 }), imageTexts), (image) => {
        const first = decide(image, undefined, rulesOf(), PREFIXES);
        const again = decide(first.image, undefined, rulesOf(), PREFIXES);
        expect(again.image).toBe(first.image);
        if (first.verdict === 'rewrite') {
          expect(again).toMatchObject({ reason: 'AlreadyRewritten', reference: first.reference });
        } else expect(first.image).toBe(image);
      }),
      { numRuns: sized({ usual: 100, full: 5_000 }) },
    );
  });
});

const imageTexts = fc
  .record({
    host: fc.constantFrom(
      'docker.io',
      'ghcr.io',
      'a.test:5000',
      'host-5000.test',
      'h:1',
      'localhost:5000',
      'h__1.test',
    ),
    path: fc.stringMatching(/^[a-z0-9]{1,5}(?:[-_.][a-z0-9]{1,5}){0,2}(?:\/[a-z0-9]{1,5}){0,3}$/),
    tag: fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,10}$/),
  })
  .map(({ host, path, tag }) => `${host}/${path}:${tag}`);

describe('DecisionMemo', () => {
  const memo = new DecisionMemo(rulesOf(), PREFIXES, 3);

  it('answers what decide answers, twice', () => {
    const rules = rulesOf({ ignorePullPolicyAlways: true });
    const always = new DecisionMemo(rules, PREFIXES, 20);
    const policies = [undefined, 'Never', 'Always', 'IfNotPresent', ''];
    for (const policy of [...policies, ...policies.toReversed()]) {
      expect(always.decide('nginx', policy)).toEqual(decide('nginx', policy, rules, PREFIXES));
    }
    expect(always.size).toBe(4);
    // Remembered, not decided once more.
    expect(always.decide('nginx', 'Always')).toBe(always.decide('nginx', 'Always'));
  });

  it('does not take a pull policy for a part of a name', () => {
    memo.decide('nginx', 'Never');
    expect(memo.decide('never nginx', undefined).image).toBe('never nginx');
  });

  it('stays within its bound, and remembers no endless text', () => {
    for (let index = 0; index < 50; index++) memo.decide(`app:${index}`, undefined);
    memo.decide('x'.repeat(600), undefined);
    expect(memo.size).toBe(3);
    expect(memo.decide('app:49', undefined).reference).toBe(
      formatReference({ host: 'docker.io', path: 'library/app', tag: '49' }),
    );
    expect(memo.decide('app:0', undefined).image).toBe(
      toProxyImage({ host: 'docker.io', path: 'library/app', tag: '0' }, PREFIXES[0]!),
    );
  });
});
