import { WEBHOOK_CONFIGURATION } from '@kuik/contracts';
import { MUTATING_WEBHOOK_CONFIGURATIONS, type KubeClient, type KubeObject } from '@kuik/kube';

interface WebhookConfiguration extends KubeObject {
  webhooks?: { name: string; clientConfig?: { caBundle?: string; url?: string } }[];
}

/** The registration's webhooks with this bundle in each; undefined when they all have it (or there is none). */
export function planCaBundle(
  webhooks: WebhookConfiguration['webhooks'],
  bundle: string,
): WebhookConfiguration['webhooks'] {
  const caBundle = Buffer.from(bundle, 'utf8').toString('base64');
  if (webhooks === undefined || webhooks.every(({ clientConfig }) => clientConfig?.caBundle === caBundle))
    return undefined;
  return webhooks.map((webhook) => ({ ...webhook, clientConfig: { ...webhook.clientConfig, caBundle } }));
}

/**
 * Writes the bundle into MutatingWebhookConfiguration `kuik-webhook`; true when something was written. Throws KubeError: `not-found` when
 * it is not installed yet, `conflict` when it changed in between (the list goes as a whole, with the resourceVersion it was read at).
 */
export async function publishCaBundle(
  kube: Pick<KubeClient, 'get' | 'mergePatch'>,
  bundle: string,
  signal: AbortSignal,
): Promise<boolean> {
  const name = { name: WEBHOOK_CONFIGURATION };
  const configuration = await kube.get<WebhookConfiguration>(MUTATING_WEBHOOK_CONFIGURATIONS, name, { signal });
  const webhooks = planCaBundle(configuration.webhooks, bundle);
  if (webhooks === undefined) return false;
  const { resourceVersion } = configuration.metadata;
  await kube.mergePatch(MUTATING_WEBHOOK_CONFIGURATIONS, name, { metadata: { resourceVersion }, webhooks }, { signal });
  return true;
}
