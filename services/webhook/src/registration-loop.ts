import type { KubeClient } from '@kuik/kube';
import { podScope, type RulesFile } from '@kuik/rules';
import { loopPart, type Clock, type Logger, type Part, type Round } from '@kuik/runtime';
import { LastWord } from './last-word.ts';
import { planRegistration, type RegisteredWebhook } from './plan-registration.ts';
import { readRegistration, writeWebhooks } from './stored-registration.ts';

export interface RegistrationLoopOptions {
  readonly kube: Pick<KubeClient, 'get' | 'mergePatch'>;
  /** The rules in force. */
  readonly rules: () => RulesFile;
  readonly ownNamespaces: readonly string[];
  readonly checkMs: number;
  /** How long a registration that somebody else changed is left alone, ms. */
  readonly patienceMs: number;
  readonly clock: Pick<Clock, 'monotonic'>;
  readonly log: Logger;
  readonly onRound: (round: Round) => void;
}

/**
 * Keeps MutatingWebhookConfiguration `kuik-webhook` in step with the rules. Level-triggered: rules that changed, and a registration that
 * somebody has edited, are seen at the next check; replicas that differ do not undo each other's writing (`LastWord`). Beside the certificates' loop and not in it: selectors that the API
 * server refuses must not stop a certificate from being renewed.
 */
export function registrationLoop(options: RegistrationLoopOptions): Part {
  const { checkMs, patienceMs, log, onRound } = options;
  const word = new LastWord(patienceMs);
  return loopPart({
    name: 'registration',
    everyMs: checkMs,
    deadlineMs: 20_000,
    backoff: { firstMs: 250, maxMs: checkMs },
    tick: async (signal) => {
      if (await keepRegistration(options, word, signal)) log.info('registration follows the rules');
    },
    onRound,
  });
}

/**
 * One check; true when something was written. What others changed stays until it is ours to write again. Throws KubeError: `not-found` when it is not installed yet, `conflict` when it changed in
 * between (the list goes as a whole), `invalid` with the API server's words when it would not have it.
 */
export async function keepRegistration(
  { kube, rules, ownNamespaces, clock }: Pick<RegistrationLoopOptions, 'kube' | 'rules' | 'ownNamespaces' | 'clock'>,
  word: LastWord,
  signal: AbortSignal,
): Promise<boolean> {
  const registration = await readRegistration<RegisteredWebhook>(kube, signal);
  const scope = podScope(rules(), ownNamespaces);
  const wanted = JSON.stringify(scope);
  const webhooks = planRegistration(registration.webhooks, scope);
  if (webhooks === undefined) word.agree(wanted);
  if (webhooks === undefined || !word.mayWrite(wanted, clock.monotonic())) return false;
  await writeWebhooks(kube, registration, webhooks, signal);
  word.agree(wanted);
  return true;
}
