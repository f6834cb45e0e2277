import { describe, expect, it } from '@jest/globals';
import { leaseStep, type LeaseSeen } from './lease-step.ts';

const held = (holder: string, seenForMs = 0): LeaseSeen => ({ holder, durationMs: 10_000, seenForMs });

describe('leaseStep', () => {
  it.each<[string, boolean, LeaseSeen | undefined, object]>([
    ['there is none', false, undefined, { step: 'create', reason: 'NoLease' }],
    ['it is ours', true, held('me'), { step: 'renew', reason: 'Ours' }],
    ['it is ours and long unrenewed', true, held('me', 99_000), { step: 'renew', reason: 'Ours' }],
    ['it was released', true, held(''), { step: 'take', reason: 'Released' }],
    ['another holds it', true, held('you', 3_000), { step: 'wait', reason: 'HeldByOther', forMs: 7_000 }],
    ['another held it until just now', true, held('you', 9_999), { step: 'wait', reason: 'HeldByOther', forMs: 1 }],
    ['another was silent for its whole duration', true, held('you', 10_000), { step: 'take', reason: 'HolderSilent' }],
    ['it was deleted under another', false, held('you', 4_000), { step: 'wait', reason: 'HeldByOther', forMs: 6_000 }],
    ['it was deleted under another long ago', false, held('you', 10_000), { step: 'create', reason: 'NoLease' }],
    ['it was deleted under us', false, held('me'), { step: 'create', reason: 'NoLease' }],
    ['it was deleted after its release', false, held(''), { step: 'create', reason: 'NoLease' }],
  ])('when %s', (_, exists, seen, expected) => {
    expect(leaseStep('me', exists, seen)).toEqual(expected);
  });
});
