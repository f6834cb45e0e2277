import type { Fault, FaultIn, Match, Rule, RuleInput, RuleState } from './rule.ts';

/** Who keeps the rules that a picker makes. */
export interface RuleKeeper {
  addRule(rule: RuleInput): Rule;
  changeRule(id: string, change: Partial<RuleInput>): boolean;
  removeRule(id: string): boolean;
  ruleState(id: string): RuleState | undefined;
  untilApplied(id: string, times: number, deadlineMs: number): Promise<void>;
}

/** A rule in force, to be narrowed, watched and cleared. */
export class RuleHandle {
  readonly id: string;
  readonly #keeper: RuleKeeper;

  constructor(id: string, keeper: RuleKeeper) {
    this.id = id;
    this.#keeper = keeper;
  }

  /** Only this often; without it until cleared. */
  times(times: number): this {
    this.#keeper.changeRule(this.id, { times });
    return this;
  }

  /** Only after this many matching requests. */
  after(after: number): this {
    this.#keeper.changeRule(this.id, { after });
    return this;
  }

  /** Requests that it was applied to. */
  get applied(): number {
    return this.#keeper.ruleState(this.id)?.applied ?? 0;
  }

  /** Resolves when it was applied this often (default once). */
  untilApplied(times = 1, deadlineMs = 10_000): Promise<void> {
    return this.#keeper.untilApplied(this.id, times, deadlineMs);
  }

  clear(): void {
    this.#keeper.removeRule(this.id);
  }
}

type AnswerDetails = Omit<Extract<FaultIn<'reply'>, { do: 'answer' }>, 'do' | 'status'>;

export interface RateLimitDetails {
  /** Seconds of Retry-After. */
  readonly retryAfter?: number;
  readonly asDate?: boolean;
  readonly limit?: number;
  readonly remaining?: number;
  readonly windowSeconds?: number;
}

/** Names what goes wrong with the matched requests. Each method puts a rule in force at once. */
export class FaultPicker {
  readonly #keeper: RuleKeeper;
  readonly #host: string;
  readonly #match: Match;

  constructor(keeper: RuleKeeper, host: string, match: Match) {
    this.#keeper = keeper;
    this.#host = host;
    this.#match = match;
  }

  /** Any fault, as data. */
  fault(fault: Fault): RuleHandle {
    return new RuleHandle(this.#keeper.addRule({ host: this.#host, match: this.#match, fault }).id, this.#keeper);
  }

  answer(status: number, details: AnswerDetails = {}): RuleHandle {
    return this.fault({ do: 'answer', status, ...details });
  }

  /** 401 to everybody, whatever credential comes along. */
  unauthorized(challenge?: 'basic' | 'bearer' | 'none'): RuleHandle {
    return this.answer(401, challenge === undefined ? {} : { challenge });
  }

  forbidden(): RuleHandle {
    return this.answer(403);
  }

  /** 404 with the code that fits the kind, after authorisation, as a registry answers for what was deleted. */
  gone(): RuleHandle {
    return this.fault({ do: 'gone' });
  }

  /** 429. */
  rateLimited({ retryAfter, asDate, limit, remaining = 0, windowSeconds = 21_600 }: RateLimitDetails = {}): RuleHandle {
    const headers =
      limit === undefined
        ? {}
        : {
            'ratelimit-limit': `${limit};w=${windowSeconds}`,
            'ratelimit-remaining': `${remaining};w=${windowSeconds}`,
          };
    return this.answer(429, {
      headers,
      ...(retryAfter === undefined ? {} : { retryAfter }),
      ...(asDate === undefined ? {} : { retryAfterAsDate: asDate }),
    });
  }

  /** Docker Hub's quota: headers on every manifest answer, 429 for GETs past the limit. */
  quota(
    limit: number,
    { windowSeconds = 21_600, retryAfter }: { windowSeconds?: number; retryAfter?: number } = {},
  ): RuleHandle {
    return this.fault({ do: 'quota', limit, windowSeconds, ...(retryAfter === undefined ? {} : { retryAfter }) });
  }

  serverError(status = 500): RuleHandle {
    return this.answer(status);
  }

  /** Accepts and never answers. */
  hang(): RuleHandle {
    return this.fault({ do: 'hang' });
  }

  /** Breaks the connection before any answer. */
  reset(): RuleHandle {
    return this.fault({ do: 'reset' });
  }

  latency(ms: number): RuleHandle {
    return this.fault({ do: 'latency', ms });
  }

  /** Breaks the connection after so many bytes of the body. */
  cutAt(atByte: number): RuleHandle {
    return this.fault({ do: 'cut', atByte });
  }

  /** Sends so many bytes of the body and then nothing, with the connection open. */
  stallAfter(afterBytes: number): RuleHandle {
    return this.fault({ do: 'stall', afterBytes });
  }

  /** Sends so many bytes of the body, and the rest once it is cleared. */
  holdAfter(afterBytes: number): RuleHandle {
    return this.fault({ do: 'hold', afterBytes });
  }

  drip(bytesPerSecond: number): RuleHandle {
    return this.fault({ do: 'drip', bytesPerSecond });
  }

  /** One wrong byte, same length. */
  flip(atByte = 0): RuleHandle {
    return this.fault({ do: 'flip', atByte });
  }

  /** No Content-Length. */
  chunked(): RuleHandle {
    return this.fault({ do: 'chunked' });
  }

  /** 307 to another origin (default the proxy's own blob origin). */
  redirect(to?: string, status = 307): RuleHandle {
    return this.fault({ do: 'redirect', status, ...(to === undefined ? {} : { to }) });
  }

  /** The tag names another digest. */
  serve(digest: string): RuleHandle {
    return this.fault({ do: 'serve', digest });
  }

  headers(change: { set?: Record<string, string>; remove?: string[] }): RuleHandle {
    return this.fault({ do: 'headers', ...change });
  }

  /** A Docker-Content-Digest that is not the content's. */
  wrongDigest(digest = `sha256:${'0'.repeat(64)}`): RuleHandle {
    return this.headers({ set: { 'docker-content-digest': digest } });
  }

  /** No Docker-Content-Digest. */
  noDigest(): RuleHandle {
    return this.headers({ remove: ['docker-content-digest'] });
  }

  /** 200 and everything for a Range request. */
  ignoreRange(): RuleHandle {
    return this.fault({ do: 'ignore-range' });
  }
}
