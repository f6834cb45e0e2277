import { WEBHOOK_CONFIGURATION } from '@kuik/contracts';
import { MUTATING_WEBHOOK_CONFIGURATIONS, type KubeClient, type KubeObject } from '@kuik/kube';
import { podScope, type RulesFile } from '@kuik/rules';
import { loopPart, type Logger, type Part, type Round } from '@kuik/runtime';
import { planRegistration, type RegisteredWebhook } from './plan-registration.ts';

export interface RegistrationLoopOptions {
  readonly kube: Pick<KubeClient, 'get' | 'mergePatch'>;
  /** The rules in force. */
  readonly rules: () => RulesFile;
  readonly ownNamespaces: readonly string[];
  readonly checkMs: number;
  readonly log: Logger;
  readonly onRound: (round: Round) => void;
}

type Configuration = KubeObject & { readonly webhooks?: RegisteredWebhook[] };

/**
 * Keeps MutatingWebhookConfiguration `kuik-webhook` in step with the rules. Level-triggered: rules that changed, and a registration that
 * an upgrade of the chart has set back, are seen at the next check. Beside the certificates' loop and not in it: selectors that the API
 * server refuses must not stop a certificate from being renewed.
 */
export function registrationLoop(options: RegistrationLoopOptions): Part {
  const { checkMs, log, onRound } = options;
  return loopPart({
    name: 'registration',
    everyMs: checkMs,
    deadlineMs: 20_000,
    backoff: { firstMs: 250, maxMs: checkMs },
    tick: async (signal) => {
      if (await keepRegistration(options, signal)) log.info('registration follows the rules');
    },
    onRound,
  });
}

/**
 * One check; true when something was written. Throws KubeError: `not-found` when it is not installed yet, `conflict` when it changed in
 * between (the list goes as a whole), `invalid` with the API server's words when it would not have it.
 */
export async function keepRegistration(
  { kube, rules, ownNamespaces }: Pick<RegistrationLoopOptions, 'kube' | 'rules' | 'ownNamespaces'>,
  signal: AbortSignal,
): Promise<boolean> {
  const name = { name: WEBHOOK_CONFIGURATION };
  const configuration = await kube.get<Configuration>(MUTATING_WEBHOOK_CONFIGURATIONS, name, { signal });
  const webhooks = planRegistration(configuration.webhooks, podScope(rules(), ownNamespaces));
  if (webhooks === undefined) return false;
  const { resourceVersion } = configuration.metadata;
  await kube.mergePatch(MUTATING_WEBHOOK_CONFIGURATIONS, name, { metadata: { resourceVersion }, webhooks }, { signal });
  return true;
}
