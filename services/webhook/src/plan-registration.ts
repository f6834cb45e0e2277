import { sameJson } from '@kuik/kube';
import { POD_CONDITIONS, type PodScope } from '@kuik/rules';

/** A condition in CEL that a pod has to meet to be sent at all. */
export interface MatchCondition {
  readonly name: string;
  readonly expression: string;
}

/** What is read and written here of one webhook of the registration; the rest of it is carried along. */
export interface RegisteredWebhook {
  readonly name: string;
  readonly namespaceSelector?: object;
  readonly objectSelector?: object;
  readonly matchConditions?: readonly MatchCondition[];
}

/**
 * The registration's webhooks as the rules want them: pods that they leave alone are not sent. Both selectors are ours as a whole; of the
 * conditions those of our names, others (the policy's gate, a person's) stay behind them. Undefined when all is so already.
 */
export function planRegistration(
  webhooks: readonly RegisteredWebhook[] | undefined,
  { namespaceSelector, objectSelector, matchConditions }: PodScope,
): RegisteredWebhook[] | undefined {
  const planned = webhooks?.map((webhook): RegisteredWebhook => {
    const others = (webhook.matchConditions ?? []).filter(({ name }) => !isOurs(name));
    return { ...webhook, namespaceSelector, objectSelector, matchConditions: [...matchConditions, ...others] };
  });
  return planned === undefined || sameJson(planned, webhooks) ? undefined : planned;
}

function isOurs(name: string): boolean {
  return (POD_CONDITIONS as readonly string[]).includes(name);
}
