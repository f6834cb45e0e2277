import { METRICS } from '@kuik/contracts';
import type { FollowedConfigMap, KubeClient } from '@kuik/kube';
import { celMistakes, compilePolicy, type DeciderOptions, type RulesFile } from '@kuik/rules';
import { loopPart, type Clock, type Logger, type Metrics, type Part, type Round } from '@kuik/runtime';
import { admissionPath, type AdmissionPath, type AdmissionWish, type PolicyAttempt } from './admission-path.ts';
import { installPolicy, removePolicy } from './installed-policy.ts';
import { gateWebhook, readRegistration, type Registration } from './webhook-gate.ts';

export interface PolicyLoopOptions extends DeciderOptions {
  readonly wish: AdmissionWish;
  /** The rules in force. */
  readonly rules: () => RulesFile;
  /** Its keys are the uids of spared owners. */
  readonly spared: Pick<FollowedConfigMap, 'name' | 'synced' | 'current' | 'onChange'>;
  readonly kube: Pick<KubeClient, 'get' | 'apply' | 'delete' | 'mergePatch'>;
  readonly checkMs: number;
  /** Whether this webhook has what it answers with. */
  readonly answers: () => boolean;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly onRound: (round: Round) => void;
}

/** A policy that the API server refused is not shown to it again sooner: compiling one is work. */
const ASK_AGAIN_MS = 10 * 60_000;

const DEADLINE_MS = 20_000;

/** In so many checks in a row this webhook could answer before a policy goes: its Service has to hear of it, too. */
const CHECKS_BEFORE_HANDOVER = 3;

/**
 * Keeps the admission policy in step with the rules, and the webhook out of the way while there is one. Level-triggered: what somebody
 * removed or edited is put right at the next check. Each replica does the same; nothing depends on their order.
 */
export class PolicyLoop {
  readonly part: Part;
  readonly #options: PolicyLoopOptions;
  #path: AdmissionPath | undefined;
  #turn: Promise<void> = Promise.resolve();
  #answered = 0;
  #refused: { readonly spec: string; readonly at: number } | undefined;

  constructor(options: PolicyLoopOptions) {
    const { checkMs, onRound } = options;
    this.#options = options;
    this.part = loopPart({
      name: 'admission-policy',
      everyMs: checkMs,
      deadlineMs: DEADLINE_MS,
      backoff: { firstMs: 250, maxMs: checkMs },
      tick: (signal) => this.#inTurn(signal),
      onRound,
    });
    // An operator makes its pods faster than the next check comes. What fails here is done then.
    options.spared.onChange(() => {
      if (this.#path?.by === 'policy') this.#inTurn(AbortSignal.timeout(DEADLINE_MS)).catch(() => undefined);
    });
  }

  /** One round at a time, by the clock or by a change. */
  #inTurn(signal: AbortSignal): Promise<void> {
    const round = this.#turn.then(() => this.round(signal));
    this.#turn = round.catch(() => undefined);
    return round;
  }

  /** One round; throws KubeError. */
  async round(signal: AbortSignal): Promise<void> {
    const { kube, wish, answers, log, metrics } = this.#options;
    this.#answered = answers() ? this.#answered + 1 : 0;
    const registration = await readRegistration(kube, signal);
    const path = admissionPath(wish, await this.#attempt(registration, signal));
    if (path.by !== 'unchanged') {
      if (registration !== undefined && (await gateWebhook(kube, registration, path.by === 'policy', signal)))
        log.info(path.by === 'policy' ? 'webhook asked only what the policy leaves open' : 'webhook asked again');
      const mayGo = registration === undefined || this.#answered > CHECKS_BEFORE_HANDOVER;
      if (path.by === 'webhook' && mayGo && (await removePolicy(kube, signal))) this.#count('removed');
      metrics.gauge(METRICS.admissionByPolicy).set(path.by === 'policy' ? 1 : 0);
    }
    if (this.#path?.by === path.by && this.#path.reason === path.reason) return;
    this.#path = path;
    const line = { admission: wish, by: path.by, reason: path.reason };
    if (path.reason === 'Configured') log.info('pods are admitted', line);
    else log.warn('pods are not admitted as configured', line);
  }

  async #attempt(registration: Registration | undefined, signal: AbortSignal): Promise<PolicyAttempt> {
    const { wish, kube, rules, log, clock } = this.#options;
    if (wish === 'webhook') return 'not-wanted';
    if (registration === undefined) return 'not-registered';
    const file = rules();
    const mistakes = celMistakes(file);
    if (mistakes.length > 0) {
      const said = mistakes.map(({ path, reason }) => `${path.join('.')}: ${reason}`);
      if (this.#path?.reason !== 'NotInCel') log.warn('rules cannot be said in CEL', { mistakes: said });
      return 'not-in-cel';
    }
    const compiled = compilePolicy(file, this.#options, this.#sparedOwners());
    const spec = JSON.stringify(compiled.policy.spec);
    if (this.#refused?.spec === spec && clock.monotonic() - this.#refused.at < ASK_AGAIN_MS) return 'refused';
    const installation = await installPolicy(kube, compiled, registration, signal);
    if (installation.result === 'not-served') return 'not-served';
    if (installation.result === 'refused') {
      this.#refused = { spec, at: clock.monotonic() };
      this.#count('refused');
      log.error('admission policy refused by the API server', { said: installation.message });
      return 'refused';
    }
    this.#refused = undefined;
    if (installation.result === 'applied') this.#count('applied');
    return 'installed';
  }

  /** Throws while they are not known: a policy that spares some would spare nobody. */
  #sparedOwners(): string[] {
    const { spared } = this.#options;
    const map = spared.current();
    if (map === undefined && !spared.synced())
      throw new Error(`ConfigMap ${spared.name} was not listed yet: the admission policy stays as it is until then`);
    return Object.keys(map?.data ?? {});
  }

  #count(result: 'applied' | 'refused' | 'removed'): void {
    const { metrics, log } = this.#options;
    metrics.counter(METRICS.admissionPolicies).inc({ result });
    if (result !== 'refused') log.info(`admission policy ${result}`);
  }
}
