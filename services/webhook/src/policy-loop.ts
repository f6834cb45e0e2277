import { METRICS } from '@kuik/contracts';
import type { FollowedConfigMap, KubeClient } from '@kuik/kube';
import { celMistakes, compilePolicy, type DeciderOptions, type RulesFile } from '@kuik/rules';
import { loopPart, type Clock, type Logger, type Metrics, type Part, type Round } from '@kuik/runtime';
import { admissionPath, type AdmissionPath, type AdmissionWish, type PolicyAttempt } from './admission-path.ts';
import { installPolicy, removePolicy } from './installed-policy.ts';
import { LastWord } from './last-word.ts';
import { writeWebhooks } from './stored-registration.ts';
import { findRegistration, planGate, type Registration } from './webhook-gate.ts';

export interface PolicyLoopOptions extends DeciderOptions {
  readonly wish: AdmissionWish;
  /** The rules in force. */
  readonly rules: () => RulesFile;
  /** Its keys are the uids of spared owners. */
  readonly spared: Pick<FollowedConfigMap, 'name' | 'synced' | 'current' | 'onChange'>;
  readonly kube: Pick<KubeClient, 'get' | 'apply' | 'delete' | 'mergePatch'>;
  readonly checkMs: number;
  /** How long what somebody else changed is left alone, ms. */
  readonly patienceMs: number;
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
 * removed or edited is put right. Each replica does the same; nothing depends on their order, and those that differ do not undo each
 * other's writing (`LastWord`).
 */
export class PolicyLoop {
  readonly part: Part;
  readonly #options: PolicyLoopOptions;
  readonly #word: LastWord;
  #path: AdmissionPath | undefined;
  #turn: Promise<void> = Promise.resolve();
  #answered = 0;
  /** What this replica would have in place: the policy, else why there is none. */
  #wanted = '';
  #refused: { readonly spec: string; readonly at: number } | undefined;

  constructor(options: PolicyLoopOptions) {
    const { checkMs, patienceMs, onRound } = options;
    this.#options = options;
    this.#word = new LastWord(patienceMs);
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
    const { kube, wish, answers, metrics } = this.#options;
    this.#answered = answers() ? this.#answered + 1 : 0;
    const registration = await findRegistration(kube, signal);
    let path = admissionPath(wish, await this.#attempt(registration, signal));
    if (path.by !== 'unchanged') {
      if (path.by === 'webhook') this.#wanted = path.reason;
      const followed = await this.#follow(path.by, registration, signal);
      if (followed === 'left') path = admissionPath(wish, 'changed-by-others');
      else metrics.gauge(METRICS.admissionByPolicy).set(path.by === 'policy' ? 1 : 0);
      if (followed === 'in-place') this.#word.agree(this.#wanted);
    }
    this.#tell(path);
  }

  /** Gate and policy as the path has them. `begun`: the policy stays for a while, until the webhook is known to answer. */
  async #follow(
    by: 'webhook' | 'policy',
    registration: Registration | undefined,
    signal: AbortSignal,
  ): Promise<'in-place' | 'begun' | 'left'> {
    const { kube, log } = this.#options;
    const gates = planGate(registration?.webhooks, by === 'policy');
    if (registration !== undefined && gates !== undefined) {
      if (!this.#mayWrite()) return 'left';
      await writeWebhooks(kube, registration, gates, signal);
      log.info(by === 'policy' ? 'webhook asked only what the policy leaves open' : 'webhook asked again');
    }
    if (by === 'policy') return 'in-place';
    const mayGo = registration === undefined || this.#answered > CHECKS_BEFORE_HANDOVER;
    const removal = await removePolicy(kube, () => mayGo && this.#mayWrite(), signal);
    if (removal === 'removed') this.#count('removed');
    if (removal === 'left') return mayGo ? 'left' : 'begun';
    return 'in-place';
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
    this.#wanted = JSON.stringify(compiled);
    const spec = JSON.stringify(compiled.policy.spec);
    if (this.#refused?.spec === spec && clock.monotonic() - this.#refused.at < ASK_AGAIN_MS) return 'refused';
    const installation = await installPolicy(kube, compiled, registration, this.#mayWrite, signal);
    if (installation.result === 'not-served') return 'not-served';
    if (installation.result === 'refused') {
      this.#refused = { spec, at: clock.monotonic() };
      this.#count('refused');
      log.error('admission policy refused by the API server', { said: installation.message });
      return 'refused';
    }
    this.#refused = undefined;
    if (installation.result === 'left') return 'changed-by-others';
    if (installation.result === 'applied') this.#count('applied');
    return 'installed';
  }

  readonly #mayWrite = (): boolean => this.#word.mayWrite(this.#wanted, this.#options.clock.monotonic());

  /** Says by whom pods are admitted, when that is another than before. */
  #tell({ by, reason }: AdmissionPath): void {
    const { wish, log } = this.#options;
    if (this.#path?.by === by && this.#path.reason === reason) return;
    this.#path = { by, reason };
    const line = { admission: wish, by, reason };
    if (reason === 'Configured') log.info('pods are admitted', line);
    else if (reason === 'ChangedByOthers')
      log.info('somebody else changed how pods are admitted: left alone for now', line);
    else log.warn('pods are not admitted as configured', line);
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
