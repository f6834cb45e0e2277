import { ADMITTED_BY_ANNOTATION, WEBHOOK_CONFIGURATION } from '@kuik/contracts';
import { isKubeError, MUTATING_WEBHOOK_CONFIGURATIONS, type KubeClient, type KubeObject } from '@kuik/kube';

interface Condition {
  readonly name: string;
  readonly expression: string;
}

interface GatedWebhook {
  readonly name: string;
  readonly matchConditions?: readonly Condition[];
}

interface WebhookConfiguration extends KubeObject {
  webhooks?: GatedWebhook[];
}

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

/**
 * Puts the gate into MutatingWebhookConfiguration `kuik-webhook`, or takes it out; true when something was written. Without a registration
 * there is nothing to gate. Throws KubeError: `conflict` when it changed in between (the list goes as a whole).
 */
export async function gateWebhook(
  kube: Pick<KubeClient, 'get' | 'mergePatch'>,
  wanted: boolean,
  signal: AbortSignal,
): Promise<boolean> {
  const name = { name: WEBHOOK_CONFIGURATION };
  const configuration = await kube
    .get<WebhookConfiguration>(MUTATING_WEBHOOK_CONFIGURATIONS, name, { signal })
    .catch((error: unknown) => {
      if (isKubeError(error, 'not-found')) return undefined;
      throw error;
    });
  const webhooks = planGate(configuration?.webhooks, wanted);
  if (configuration === undefined || webhooks === undefined) return false;
  const { resourceVersion } = configuration.metadata;
  await kube.mergePatch(MUTATING_WEBHOOK_CONFIGURATIONS, name, { metadata: { resourceVersion }, webhooks }, { signal });
  return true;
}
