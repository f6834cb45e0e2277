import { WEBHOOK_CONFIGURATION } from '@kuik/contracts';
import { MUTATING_WEBHOOK_CONFIGURATIONS, type KubeClient, type KubeObject } from '@kuik/kube';

/** MutatingWebhookConfiguration `kuik-webhook`; `W` is what its reader looks at of each webhook, the rest is carried along. */
export interface StoredRegistration<W> extends KubeObject {
  readonly webhooks?: W[];
}

const NAME = { name: WEBHOOK_CONFIGURATION };

/** Reads it. Throws KubeError: `not-found` when it is not installed yet. */
export function readRegistration<W>(
  kube: Pick<KubeClient, 'get'>,
  signal: AbortSignal,
): Promise<StoredRegistration<W>> {
  return kube.get<StoredRegistration<W>>(MUTATING_WEBHOOK_CONFIGURATIONS, NAME, { signal });
}

/** Writes its webhooks, all of them. Throws KubeError: `conflict` when it changed since it was read, `invalid` with the API server's words. */
export async function writeWebhooks<W>(
  kube: Pick<KubeClient, 'mergePatch'>,
  { metadata: { resourceVersion } }: KubeObject,
  webhooks: readonly W[],
  signal: AbortSignal,
): Promise<void> {
  await kube.mergePatch(MUTATING_WEBHOOK_CONFIGURATIONS, NAME, { metadata: { resourceVersion }, webhooks }, { signal });
}
