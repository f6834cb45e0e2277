import { ACCESS_VERDICT, type AccessVerdict, type AccessVerdictRequest } from '@kuik/contracts';
import type { Bus } from '@kuik/bus';
import { BriefMemory } from '@kuik/runtime';
import type { Repository } from './pull-path.ts';
import { type RecordedAccess, recordedVerdict } from './recorded-access.ts';
import { WeightedLru } from './weighted-lru.ts';

export type Who = Exclude<AccessVerdictRequest['who'], 'host'>;
type Question = Omit<AccessVerdictRequest, 'token'>;

export interface AccessVerdictsOptions {
  /** Absent: nobody can be asked. */
  readonly bus: Pick<Bus, 'request'> | undefined;
  /** What is known without the broker; absent: nothing. */
  readonly records?: Pick<RecordedAccess, 'of'> | undefined;
  /** This node's token for the broker, read for each question: it rotates. */
  readonly readToken: () => Promise<string>;
  readonly timeoutMs: number;
  /** How much longer a verdict counts while the broker cannot be asked. */
  readonly graceMs: number;
  /** Epoch ms. */
  readonly now: () => number;
}

/** Verdicts of the proxy's own: the broker did not answer. */
export const BROKER_AWAY = 'BrokerUnavailable';
export const BROKER_GRACE = 'BrokerGrace';

const KEPT = 20_000;
/** After a question without an answer none is asked for this long. */
const SILENT_MS = 2_000;

/** The broker's verdicts, each used for as long as the broker said, and for a grace beyond while the broker cannot be asked. */
export class AccessVerdicts {
  readonly #options: AccessVerdictsOptions;
  readonly #fresh: BriefMemory<AccessVerdict>;
  /** The last word on each question, whatever its age. */
  readonly #last = new WeightedLru<AccessVerdict>(KEPT);
  #silentUntilMs = -Infinity;

  constructor(options: AccessVerdictsOptions) {
    this.#options = options;
    this.#fresh = new BriefMemory({ forMs: 0, entries: KEPT, now: options.now });
  }

  /** Never throws. */
  of(who: Who, { host, path }: Repository, requestId: string): Promise<AccessVerdict> {
    const key = JSON.stringify([host, path, who]);
    return this.#fresh.get(key, () => this.#ask(key, { host, repository: path, who, requestId }), {
      until: ({ until }) => until,
    });
  }

  /** Whether any of the cluster's pods and resources names something of the repository's host. Never throws. */
  ofHost({ host, path }: Repository, requestId: string): Promise<AccessVerdict> {
    return this.#fresh.get(host, () => this.#ask(host, { host, repository: path, who: 'host', requestId }), {
      until: ({ until }) => until,
    });
  }

  async #ask(key: string, question: Question): Promise<AccessVerdict> {
    const { bus, readToken, timeoutMs, now } = this.#options;
    if (bus === undefined || now() < this.#silentUntilMs) return this.#unasked(key, question);
    try {
      const verdict = await bus.request(ACCESS_VERDICT, { ...question, token: await readToken() }, { timeoutMs });
      if (verdict.verdict !== 'unknown') this.#last.set(key, verdict);
      return verdict;
    } catch {
      this.#silentUntilMs = now() + SILENT_MS;
      return this.#unasked(key, question);
    }
  }

  /**
   * What was said last, when that was a yes and its grace is not over: a refusal needs no help to stay one. Of what was never asked here, what
   * the broker wrote down.
   */
  async #unasked(key: string, { who, host, repository }: Question): Promise<AccessVerdict> {
    const { records, graceMs, now } = this.#options;
    const last = this.#last.get(key);
    const until = (): number => now() + SILENT_MS;
    if (last?.verdict === 'allowed' && now() < last.until + graceMs)
      return { ...last, reason: BROKER_GRACE, until: until() };
    if (last === undefined && records !== undefined && who !== 'host') {
      const recorded = recordedVerdict(await records.of(who, { host, path: repository }), graceMs, now());
      if (recorded !== undefined) return { ...recorded, until: Math.min(recorded.until, until()) };
    }
    return { verdict: 'unknown', reason: BROKER_AWAY, public: false, until: until() };
  }
}
