import { describeUrl, RegistryError } from './errors.ts';
import { ExpiringMap } from './expiring-map.ts';
import type { HttpClient } from './http-client.ts';
import { type Haste, isBackground, TokenLine } from './token-line.ts';
import { askToken, type TokenAnswer, type TokenRequest } from './tokens.ts';

/** How long a server that limits us is left alone when it does not say for how long, and at most; one that fails and says when, at most. */
const LIMITED_MS = 60_000;
const LIMITED_MAX_MS = 3_600_000;
const FAILED_MAX_MS = 60_000;

/**
 * The token servers that a process asks, each by a few questions at once: whose a copy is has to be known before the pace of its registry, so that a
 * burst of new repositories comes here first. What no pull waits for is not asked while a server limits us.
 */
export class TokenServers {
  readonly #http: Pick<HttpClient, 'request'>;
  readonly #now: () => number;
  readonly #turnMs: number | undefined;
  readonly #lines = new Map<string, TokenLine>();
  /** Until when those limit us that do, by origin. */
  readonly #limitedUntilMs: ExpiringMap<number>;

  /** `now`: epoch ms. */
  constructor(http: Pick<HttpClient, 'request'>, now: () => number, turnMs?: number) {
    this.#http = http;
    this.#now = now;
    this.#turnMs = turnMs;
    this.#limitedUntilMs = new ExpiringMap(1_000, now);
  }

  /** One question, in its turn. Throws RegistryError; `rate-limited` also without a question. */
  async ask(request: TokenRequest, haste: Haste = {}): Promise<TokenAnswer> {
    const { origin } = request.realm;
    const what = `token from ${describeUrl(request.realm)}`;
    const spare = (): void => {
      const untilMs = this.#limitedUntilMs.get(origin);
      if (untilMs === undefined || !isBackground(haste)) return;
      const retryAfterMs = untilMs - this.#now();
      throw new RegistryError('rate-limited', `${what}: it limits us`, { status: 429, retryAfterMs });
    };
    spare();
    const line = this.#lines.get(origin) ?? new TokenLine(this.#turnMs);
    this.#lines.set(origin, line);
    const leave = await line.turn(what, haste);
    try {
      spare();
      return await askToken(this.#http, request, { now: this.#now, signal: haste.signal }).catch((error: unknown) => {
        this.#noteLimit(origin, error);
        throw error;
      });
    } finally {
      leave();
      if (line.idle) this.#lines.delete(origin);
    }
  }

  #noteLimit(origin: string, error: unknown): void {
    const limitMs = error instanceof RegistryError ? limitOf(error) : 0;
    const untilMs = this.#now() + limitMs;
    if (limitMs > 0 && untilMs > (this.#limitedUntilMs.get(origin) ?? 0))
      this.#limitedUntilMs.set(origin, untilMs, limitMs);
  }
}

/** For how long an answer asks to be spared, ms; 0: it does not. */
function limitOf({ code, retryAfterMs }: RegistryError): number {
  if (code === 'rate-limited') return Math.min(retryAfterMs ?? LIMITED_MS, LIMITED_MAX_MS);
  return code === 'server-error' ? Math.min(retryAfterMs ?? 0, FAILED_MAX_MS) : 0;
}
