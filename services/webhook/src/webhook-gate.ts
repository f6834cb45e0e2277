import { ADMITTED_BY_ANNOTATION } from '@kuik/contracts';
import { orAbsent, type KubeClient } from '@kuik/kube';
import { readRegistration, type StoredRegistration } from './stored-registration.ts';

interface Condition {
  readonly name: string;
  readonly expression: string;
}

interface GatedWebhook {
  readonly name: string;
  readonly matchConditions?: readonly Condition[];
}

/** As far as it matters here. */
export type Registration = StoredRegistration<GatedWebhook>;

/**
 * Lets the API server ask the webhook only about pods that no policy has decided yet. With the policy gone, or at its wits' end, every
 * pod is asked about again at once: so the two can be switched in any order, and nobody has to be first.
 */
const GATE: Condition = {
  name: 'not-admitted-by-policy',
  expression: `object.metadata.?annotations[?"${ADMITTED_BY_ANNOTATION}"].orValue("") != "policy"`,
};

/** The registration's webhooks with the gate in each, or in none; undefined when they are so already. */
export function planGate(webhooks: readonly GatedWebhook[] | undefined, wanted: boolean): GatedWebhook[] | undefined {
  const isSo = ({ matchConditions = [] }: GatedWebhook): boolean => {
    const gates = matchConditions.filter(({ name }) => name === GATE.name);
    return wanted ? gates.length === 1 && gates[0]?.expression === GATE.expression : gates.length === 0;
  };
  if (webhooks === undefined || webhooks.every(isSo)) return undefined;
  return webhooks.map((webhook) => {
    const others = (webhook.matchConditions ?? []).filter(({ name }) => name !== GATE.name);
    return { ...webhook, matchConditions: wanted ? [...others, GATE] : others };
  });
}

/** The registration, or undefined when there is none. Throws KubeError. */
export function findRegistration(
  kube: Pick<KubeClient, 'get'>,
  signal: AbortSignal,
): Promise<Registration | undefined> {
  return orAbsent(readRegistration<GatedWebhook>(kube, signal));
}
