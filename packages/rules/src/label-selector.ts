import { z } from 'zod';

/** Labels or annotations; values of other types than text never match. */
export type Labels = Readonly<Record<string, unknown>>;

/** The key of a label or annotation: an optional DNS prefix, and a name. */
export const labelKey = z
  .string()
  .regex(
    /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/,
    'must be the key of a label, as app.kubernetes.io/name',
  );

/** The API server reads selectors of a registration so: it would refuse all of it for one value. */
const labelValue = z
  .string()
  .regex(
    /^(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/,
    'can be no value of a label: write up to 63 letters, digits, -, _ and ., the first and last a letter or digit',
  );

const condition = z
  .strictObject({
    key: labelKey,
    operator: z.enum(['In', 'NotIn', 'Exists', 'DoesNotExist']),
    values: z.array(labelValue).default([]),
  })
  .superRefine(({ operator, values }, context) => {
    const wants = operator === 'In' || operator === 'NotIn';
    if (wants === values.length > 0) return;
    const message = wants ? `${operator} needs values` : `${operator} takes no values`;
    context.addIssue({ code: 'custom', path: ['values'], message });
  });

/** A label selector as Kubernetes has it. */
export const labelSelector = z.strictObject({
  matchLabels: z.record(labelKey, labelValue).default({}),
  matchExpressions: z.array(condition).default([]),
});
export type LabelSelector = z.output<typeof labelSelector>;
export type LabelCondition = z.output<typeof condition>;

/** All conditions of a selector; matchLabels are conditions `In` of one value. */
export function conditionsOf({ matchLabels, matchExpressions }: LabelSelector): LabelCondition[] {
  const equal = Object.entries(matchLabels).map(([key, value]): LabelCondition => ({
    key,
    operator: 'In',
    values: [value],
  }));
  return [...equal, ...matchExpressions];
}

/** Whether labels meet every condition. `NotIn` is met by a label that is absent, as in Kubernetes. */
export function meets(labels: Labels | undefined, conditions: readonly LabelCondition[]): boolean {
  return conditions.every(({ key, operator, values }) => {
    const value = labels !== undefined && Object.hasOwn(labels, key) ? labels[key] : undefined;
    switch (operator) {
      case 'In':
        return typeof value === 'string' && values.includes(value);
      case 'NotIn':
        return typeof value !== 'string' || !values.includes(value);
      case 'Exists':
        return value !== undefined;
      case 'DoesNotExist':
        return value === undefined;
    }
  });
}
