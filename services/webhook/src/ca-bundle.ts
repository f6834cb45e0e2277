import type { KubeClient } from '@kuik/kube';
import { readRegistration, writeWebhooks } from './stored-registration.ts';

interface CalledWebhook {
  name: string;
  clientConfig?: { caBundle?: string; url?: string };
}

/** The registration's webhooks with this bundle in each; undefined when they all have it (or there is none). */
export function planCaBundle(webhooks: CalledWebhook[] | undefined, bundle: string): CalledWebhook[] | undefined {
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
  const registration = await readRegistration<CalledWebhook>(kube, signal);
  const webhooks = planCaBundle(registration.webhooks, bundle);
  if (webhooks === undefined) return false;
  await writeWebhooks(kube, registration, webhooks, signal);
  return true;
}
