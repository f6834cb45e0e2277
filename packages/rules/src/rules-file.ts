import { z } from 'zod';
import { labelKey, labelSelector } from './label-selector.ts';
import { patternMistake } from './re2-patterns.ts';

const pattern = z.string().superRefine((text, context) => {
  const mistake = patternMistake(text);
  if (mistake !== undefined) context.addIssue({ code: 'custom', message: `${mistake}: "${text}"` });
});
const patterns = z.array(pattern).default([]);
const namespace = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be the name of a namespace');
const keyOrPair = z.string().superRefine((text, context) => {
  const [key = ''] = text.split('=');
  if (!labelKey.safeParse(key).success)
    context.addIssue({ code: 'custom', message: `must be key or key=value: "${text}"` });
});
const skipped = z.array(keyOrPair).default([]);
const nodeSelector = labelSelector.refine(
  ({ matchLabels, matchExpressions }) => Object.keys(matchLabels).length + matchExpressions.length > 0,
  'needs a condition: an empty selector is every node',
);
const mode = z.enum(['rewrite', 'observe', 'off']);

/**
 * Which images of which pods go through the cache: the one file of rules that every part goes by, as plain data. Patterns are RE2
 * (linear time; the meaning of `matches()` in CEL), unanchored, and see an image in its canonical form and as it was written.
 */
export const rulesFile = z.strictObject({
  mode: mode
    .default('rewrite')
    .describe(
      'rewrite: through the proxy; observe: cached but left as it is; off: neither. Of all namespaces without their own',
    ),
  namespaces: z.record(namespace, z.strictObject({ mode })).default({}).describe('The mode of single namespaces'),
  ignoreNamespaces: z.array(namespace).default([]).describe('Pods of these namespaces are left alone'),
  namespaceSelector: labelSelector
    .optional()
    .describe('When set, pods of namespaces whose labels do not match are left alone'),
  podSelector: labelSelector.optional().describe('When set, pods whose labels do not match are left alone'),
  skipLabels: skipped.describe('key or key=value: a pod with such a label is left alone'),
  skipAnnotations: skipped.describe('key or key=value: a pod with such an annotation is left alone'),
  ignoreImages: patterns.describe('RE2 patterns: an image that matches one is left alone'),
  acceptImages: patterns.describe('RE2 patterns: when there are any, only what matches one is not left alone'),
  ignorePullPolicyAlways: z
    .boolean()
    .default(false)
    .describe(
      'Whether images that kubelet asks for at each start (Always; tag latest without a policy) are left alone',
    ),
  nodesWithoutProxy: z
    .array(nodeSelector)
    .default([
      { matchLabels: { 'kubernetes.io/os': 'windows' }, matchExpressions: [] },
      { matchLabels: { type: 'virtual-kubelet' }, matchExpressions: [] },
    ])
    .describe('Node labels: a pod that can only run on such nodes is cached but left as it is'),
  rewriteNodeCritical: z
    .boolean()
    .default(false)
    .describe('Whether pods of priority class system-node-critical are treated as all others'),
});
export type RulesFile = z.output<typeof rulesFile>;
/** As a person writes them: what is absent has its default. */
export type WrittenRules = z.input<typeof rulesFile>;
