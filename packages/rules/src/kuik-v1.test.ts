import { describe, expect, it } from '@jest/globals';
import { compileImageRules } from './compile-rules.ts';
import { decideImage } from './decide-image.ts';
import { rulesFile, type WrittenRules } from './rules-file.ts';

// kuik v1's own test vectors of its webhook. docs/kuik-v1.md lists what differs on purpose.
const PREFIXES = ['localhost:4242'];
const decide = (image: string, policy: string | undefined, rules: WrittenRules) =>
  decideImage(image, policy, compileImageRules(rulesFile.parse({ ignorePullPolicyAlways: false, ...rules })), PREFIXES);

const IMAGES = [
  'original-init',
  'original',
  'localhost:1313/original-2',
  '185.145.250.247:30042/alpine',
  '185.145.250.247:30042/alpine:latest',
  'localhost:4242/185.145.250.247-30042/alpine:latest',
  'invalid:image:8080',
];
const rewritten = (rules: WrittenRules) =>
  IMAGES.filter((image) => decide(image, undefined, rules).verdict === 'rewrite');

describe("v1's vectors: which containers of a pod are rewritten", () => {
  it.each<[string, WrittenRules, string[]]>([
    ['no rule', {}, ['original-init', 'original', IMAGES[3]!, IMAGES[4]!]],
    // v1 rewrote the untagged alpine: it did not know it for the latest one.
    ['ignored', { ignoreImages: ['original', 'alpine:latest'] }, []],
    ['ignored, of one registry', { ignoreImages: ['^185\\.'] }, ['original-init', 'original']],
    ['accepted', { acceptImages: ['185.145.250.247\\:30042'] }, [IMAGES[3]!, IMAGES[4]!]],
  ])('%s', (_name, rules, expected) => expect(rewritten(rules)).toEqual(expected));
});

describe("v1's vectors: one image", () => {
  const ignored = { ignoreImages: ['alpine', '.*:latest'] };
  const always = { ignorePullPolicyAlways: true };

  it.each<[string, string | undefined, WrittenRules, string]>([
    ['alpine', undefined, {}, 'Rewritten'],
    // v1: "image contains a digest".
    [`alpine:latest@sha256:${'5b16'.repeat(16)}`, undefined, {}, 'Rewritten'],
    ['alpine', undefined, ignored, 'Ignored'],
    ['nginx:latest', undefined, ignored, 'Ignored'],
    // v1 rewrote it: nothing is written behind the name.
    ['nginx', undefined, ignored, 'Ignored'],
    ['nginx:1.0.0', undefined, ignored, 'Rewritten'],
    ['nginx:1.0.0', 'Always', always, 'PullPolicyAlways'],
    ['nginx:latest', undefined, always, 'PullPolicyAlways'],
    ['nginx', undefined, always, 'PullPolicyAlways'],
    ['nginx:latest', 'IfNotPresent', always, 'Rewritten'],
    ['nginx:1.0.0', 'Never', {}, 'PullPolicyNever'],
  ])('%s with policy %s and %j: %s', (image, policy, rules, reason) => {
    expect(decide(image, policy, rules).reason).toBe(reason);
  });
});

it.each([
  ['^docker\\.io/', 'nginx'],
  [':latest$', 'nginx'],
  ['^quay\\.io/', 'Quay.IO/acme/shop:1'],
  ['^nginx$', 'nginx'],
])('v1 defect: a pattern sees the text as written alone (%s, %s)', (pattern, image) => {
  expect(decide(image, undefined, { ignoreImages: [pattern] })).toMatchObject({ rule: 'ignoreImages[0]' });
  expect(decide(image, undefined, { acceptImages: [pattern] })).toMatchObject({ rule: 'acceptImages[0]' });
});
