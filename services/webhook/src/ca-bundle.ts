import { WEBHOOK_CONFIGURATION } from '@kuik/contracts';
import { MUTATING_WEBHOOK_CONFIGURATIONS, type KubeClient, type KubeObject } from '@kuik/kube';

interface WebhookConfiguration extends KubeObject {
  webhooks?: { name: string; clientConfig?: { caBundle?: string } }[];
}

type JsonPatch = { op: 'test' | 'add'; path: string; value: string }[];

/** The patch that gives every webhook of the registration this bundle; empty when they have it. Tests names: a list can be reordered. */
export function planCaBundle(configuration: WebhookConfiguration, bundle: string): JsonPatch {
  const wanted = Buffer.from(bundle, 'utf8').toString('base64');
  return (configuration.webhooks ?? []).flatMap((webhook, index): JsonPatch => {
    if (webhook.clientConfig?.caBundle === wanted) return [];
    return [
      { op: 'test', path: `/webhooks/${index}/name`, value: webhook.name },
      { op: 'add', path: `/webhooks/${index}/clientConfig/caBundle`, value: wanted },
    ];
  });
}

/**
 * Writes the bundle into MutatingWebhookConfiguration `kuik-webhook`; true when something was written. Throws KubeError
 * (`not-found`: not installed yet).
 */
export async function publishCaBundle(
  kube: Pick<KubeClient, 'get' | 'raw'>,
  bundle: string,
  signal: AbortSignal,
): Promise<boolean> {
  const name = { name: WEBHOOK_CONFIGURATION };
  const configuration = await kube.get<WebhookConfiguration>(MUTATING_WEBHOOK_CONFIGURATIONS, name, { signal });
  const patch = planCaBundle(configuration, bundle);
  if (patch.length === 0) return false;
  const path = `/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/${WEBHOOK_CONFIGURATION}`;
  await kube.raw('PATCH', path, patch, { contentType: 'application/json-patch+json', signal });
  return true;
}
