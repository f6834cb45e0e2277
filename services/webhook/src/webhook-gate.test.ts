import { describe, expect, it } from '@jest/globals';
import { planGate } from './webhook-gate.ts';

const gate = {
  name: 'not-admitted-by-policy',
  expression: 'object.metadata.?annotations[?"kuik.enix.io/admitted-by"].orValue("") != "policy"',
};
const other = { name: 'no-mirror', expression: 'true' };
const webhook = (...matchConditions: { name: string; expression: string }[]) => ({
  name: 'pods.kuik.enix.io',
  timeoutSeconds: 2,
  ...(matchConditions.length > 0 ? { matchConditions } : {}),
});

describe('planGate', () => {
  it.each([
    ['puts it in', webhook(), true, webhook(gate)],
    ['puts it beside others', webhook(other), true, webhook(other, gate)],
    ['has it already', webhook(gate, other), true, undefined],
    ['mends one that somebody edited', webhook({ ...gate, expression: 'false' }), true, webhook(gate)],
    ['takes it out', webhook(gate, other), false, webhook(other)],
    ['takes the only one out', webhook(gate), false, { ...webhook(), matchConditions: [] }],
    ['has none already', webhook(other), false, undefined],
  ])('%s', (_, before, wanted, after) => {
    expect(planGate([before], wanted)).toEqual(after === undefined ? undefined : [after]);
  });

  it('has nothing to gate without a registration', () => expect(planGate(undefined, true)).toBeUndefined());
});
