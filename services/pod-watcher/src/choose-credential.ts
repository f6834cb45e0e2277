import { createHash } from 'node:crypto';
import type { BrokeredCredential } from '@kuik/contracts';
import { type PullToken, type PullTokenExchange, RegistryError } from '@kuik/registry';
import { BriefMemory } from '@kuik/runtime';
import { AccountNames } from './account-names.ts';
import { failed, refusedAll, secretNames, unreadSecretsOf } from './broker-refusal.ts';
import { ANONYMOUS, type Candidate, type Candidates, candidatesOf, type LoginMistake } from './candidates.ts';
import { refusesLogin } from './refuses-login.ts';
import type { ReadSecret } from './secret-reader.ts';

/** Logins that are the cluster's, not a pod's: cloud identities, exec plugins. */
export interface LoginProviders {
  /** Whether any of them may have a login for this repository; asks nobody. */
  covers(host: string, repository: string): boolean;
  /** Never throws: what goes wrong is a mistake. `renew`: the registry refused what was given last. */
  logins(host: string, repository: string, options: { renew?: boolean }): Promise<Candidates>;
}

export interface ChooseOptions {
  readonly exchange: PullTokenExchange;
  readonly now: () => number;
  /** How long a Basic header may be used before the secret is read again, ms. */
  readonly headerTtlMs: number;
  readonly providers?: LoginProviders;
}

interface Wanted {
  readonly host: string;
  readonly repository: string;
}

interface Asked {
  /** What was given last was refused. */
  readonly renew?: boolean;
  /** An image of the repository, by tag or digest: what several logins prove themselves on. Asked for only then. */
  readonly reference?: () => string | undefined;
  /** No pull waits for it: a copy, a check. */
  readonly background?: boolean;
}

const TOKENS_KEPT = 10_000;
/** What a registry that asks for nothing said is believed for this long. */
const ANONYMOUS_TTL_MS = 60_000;
/** A token is not handed out in the last fifth of its life. */
const LIFE = 0.8;
/** The login that worked last for a repository is tried first for so long. */
const WORKED_MS = 10 * 60_000;

/** How one choice went so far. */
interface Trial {
  readonly wanted: Wanted;
  readonly renew: boolean;
  readonly background: boolean;
  /** Several may do: each has to prove itself on the repository. */
  readonly verify: boolean;
  readonly reference: string | undefined;
  readonly tried: string[];
  readonly mistakes: LoginMistake[];
  /** Logins that were refused: no other secret with the same one is tried. */
  readonly refused: Set<string>;
  /** Those to whom the registry did not show the repository, and those whom it refused it: what they have may still do. */
  readonly unseen: Candidate[];
  readonly unproven: Candidate[];
}

/**
 * Tries the logins of the secrets, the one that worked last for the repository first, then those of providers, anonymous last. The first that
 * the registry gives something for is it; with several logins each is also tried on the repository itself, since some token servers give a
 * token without any access. To whom the registry says that there is no such repository may be one from whom it hides it: the next one is tried, and that
 * one before anonymous. When none gets through there, the first token is handed out all the same: upstream's own answer then tells.
 */
export class CredentialChooser {
  readonly #options: ChooseOptions;
  readonly #tokens: BriefMemory<PullToken>;
  readonly #askedAt = new WeakMap<PullToken, number>();
  /** What is asked for now; aborted when a pull waits for it. */
  readonly #asking = new Map<string, AbortController>();
  readonly #worked: Worked;
  readonly #accounts = new AccountNames();

  constructor(options: ChooseOptions) {
    this.#options = options;
    this.#tokens = new BriefMemory({ forMs: 0, entries: TOKENS_KEPT, now: options.now });
    this.#worked = new Worked(options.now);
  }

  /** Throws BrokerRefusal. */
  async choose(
    host: string,
    repository: string,
    secrets: readonly ReadSecret[],
    { renew = false, reference, background = false }: Asked = {},
  ): Promise<BrokeredCredential> {
    const { now, headerTtlMs, providers } = this.#options;
    const wanted = { host, repository };
    const { candidates, mistakes } = candidatesOf(secrets, wanted, now() + headerTtlMs);
    const provided = providers?.covers(host, repository) === true ? providers : undefined;
    const logins = new Set(candidates.map(({ credential }) => identityOf(credential)));
    const verify = logins.size + (provided === undefined ? 0 : 1) > 1;
    const trial: Trial = {
      wanted,
      renew,
      background,
      verify,
      reference: verify ? reference?.() : undefined,
      tried: [],
      mistakes: [...mistakes],
      refused: new Set(),
      unseen: [],
      unproven: [],
    };
    const given =
      (await this.#firstOf(this.#worked.first(wanted, candidates), trial)) ??
      (provided === undefined ? undefined : await this.#provided(provided, trial)) ??
      (await this.#withoutProof(trial.unseen, trial)) ??
      (await this.#try(ANONYMOUS, trial)) ??
      (await this.#withoutProof(trial.unproven, trial));
    if (given !== undefined) return given;
    throw refusedAll({ host, path: repository }, trial.tried, trial.mistakes);
  }

  async #firstOf(candidates: readonly Candidate[], trial: Trial): Promise<BrokeredCredential | undefined> {
    for (const candidate of candidates) {
      const given = await this.#try(candidate, trial);
      if (given !== undefined) return given;
    }
    return undefined;
  }

  async #withoutProof(candidates: readonly Candidate[], trial: Trial): Promise<BrokeredCredential | undefined> {
    for (const candidate of candidates) {
      const token = await this.#exchange(trial, candidate, { verify: false }).catch(() => undefined);
      if (token !== undefined) return this.#brokered(token, candidate, trial, trial.tried);
    }
    return undefined;
  }

  /** What a provider gave earlier may have been withdrawn since: refused, it is asked once for something new. */
  async #provided(providers: LoginProviders, trial: Trial): Promise<BrokeredCredential | undefined> {
    const { host, repository } = trial.wanted;
    const first = await providers.logins(host, repository, { renew: trial.renew });
    const given = await this.#firstOf(first.candidates, trial);
    if (given !== undefined) return given;
    const again =
      trial.renew || first.candidates.length === 0 ? first : await providers.logins(host, repository, { renew: true });
    trial.mistakes.push(...again.mistakes);
    const known = new Set(first.candidates.map(({ credential }) => JSON.stringify(credential)));
    const fresh = again.candidates.filter(({ credential }) => !known.has(JSON.stringify(credential)));
    return this.#firstOf(fresh, trial);
  }

  /** Undefined when the registry refused this one. */
  async #try(candidate: Candidate, trial: Trial): Promise<BrokeredCredential | undefined> {
    const { host, repository } = trial.wanted;
    const named = candidate.of === 'secret' ? [candidate.label] : [];
    const login = identityOf(candidate.credential);
    if (trial.refused.has(login)) {
      trial.tried.push(...named);
      return undefined;
    }
    const proves = trial.verify && candidate !== ANONYMOUS;
    try {
      const token = await this.#exchange(trial, candidate, { verify: proves });
      if (candidate.of === 'secret') this.#worked.remember(trial.wanted, candidate);
      return await this.#brokered(token, candidate, trial, [...trial.tried, ...named]);
    } catch (error) {
      if (!(error instanceof RegistryError)) throw error;
      const hidden = proves && error.code === 'not-found';
      if (!hidden && !refusesLogin(error)) throw failed(host, repository, error);
      trial.tried.push(...named);
      trial.refused.add(login);
      if (proves) (hidden ? trial.unseen : trial.unproven).push(candidate);
      return undefined;
    }
  }

  async #exchange(
    { wanted: { host, repository }, renew, reference, background }: Trial,
    { credential }: Candidate,
    { verify }: { verify: boolean },
  ): Promise<PullToken> {
    const key = hash([host, repository, verify, identityOf(credential)]);
    const { exchange, now } = this.#options;
    const work = async (): Promise<PullToken> => {
      const askedAt = now();
      const alone = new AbortController();
      if (!background) alone.abort();
      this.#asking.set(key, alone);
      const options = { verify, reference, background: alone.signal };
      const token = await exchange
        .exchangePullToken(host, repository, credential, options)
        .finally(() => this.#asking.delete(key));
      this.#askedAt.set(token, askedAt);
      return token;
    };
    if (!background) this.#asking.get(key)?.abort();
    return this.#tokens.get(key, work, { until: (token) => this.#until(token), renew });
  }

  #until(token: PullToken): number {
    const askedAt = this.#askedAt.get(token) ?? this.#options.now();
    if (token.kind === 'bearer') return askedAt + (token.expiresAtMs - askedAt) * LIFE;
    return askedAt + (token.kind === 'header' ? this.#options.headerTtlMs : ANONYMOUS_TTL_MS);
  }

  async #brokered(
    token: PullToken,
    candidate: Candidate,
    { mistakes, wanted }: Trial,
    secrets: readonly string[],
  ): Promise<BrokeredCredential> {
    const { credential, expiresAtMs = Infinity } = candidate;
    const unread = unreadSecretsOf(mistakes);
    const told = {
      ...(secrets.length === 0 ? {} : { tried: secretNames(secrets) }),
      ...(unread.length === 0 ? {} : { unread }),
    };
    if (token.kind === 'anonymous') return { ...token, ...told };
    const until = token.kind === 'bearer' ? token.expiresAtMs : this.#options.now() + this.#options.headerTtlMs;
    const kept = { expiresAtMs: Math.min(until, expiresAtMs), ...told };
    if (token.kind === 'bearer' && credential.kind === 'anonymous') return { ...token, ...kept, anonymous: true };
    return { ...token, ...kept, account: await this.#accounts.of(wanted.host, candidate) };
  }
}

/** Which login worked last for a repository; a hash of it, so that a secret that is gone is remembered by nobody. */
class Worked {
  readonly #entries = new Map<string, { readonly login: string; readonly untilMs: number }>();
  readonly #now: () => number;

  constructor(now: () => number) {
    this.#now = now;
  }

  first(wanted: Wanted, candidates: readonly Candidate[]): readonly Candidate[] {
    if (candidates.length < 2) return candidates;
    const entry = this.#entries.get(keyOf(wanted));
    if (entry === undefined || entry.untilMs <= this.#now()) return candidates;
    const isIt = (candidate: Candidate): boolean => loginHash(candidate) === entry.login;
    return [...candidates.filter(isIt), ...candidates.filter((candidate) => !isIt(candidate))];
  }

  remember(wanted: Wanted, candidate: Candidate): void {
    const key = keyOf(wanted);
    this.#entries.delete(key);
    this.#entries.set(key, { login: loginHash(candidate), untilMs: this.#now() + WORKED_MS });
    if (this.#entries.size > TOKENS_KEPT) this.#entries.delete(this.#entries.keys().next().value!);
  }
}

function keyOf({ host, repository }: Wanted): string {
  return `${host}/${repository}`;
}

function loginHash({ label, credential }: Candidate): string {
  return hash([label, identityOf(credential)]);
}

/** Tells logins apart. Without its end: a token that names none is given a new one each time that it is read. */
function identityOf(credential: Candidate['credential']): string {
  const { expiresAtMs: _end, ...identity } = { expiresAtMs: 0, ...credential };
  return JSON.stringify(identity);
}

function hash(parts: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('base64');
}
