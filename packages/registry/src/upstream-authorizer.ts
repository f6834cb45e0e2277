import { createHash } from 'node:crypto';
import { parseChallenges, preferredChallenge, type Challenge } from './challenge.ts';
import { RegistryError } from './errors.ts';
import { ExpiringMap } from './expiring-map.ts';
import { sameTrust } from './same-trust.ts';
import { basicHeader, type TokenCache, tokenSecretOf } from './tokens.ts';
import type { Attempt, Authorizer, Need, Refusal, RegistrySite } from './authorizer.ts';
import type { Credential, CredentialSource } from './port.ts';

/** Asks as nobody. */
export const NO_CREDENTIALS: CredentialSource = { credentials: () => Promise.resolve([]) };

const CHALLENGE_TTL_MS = 10 * 60_000;
const CHOICE_TTL_MS = 10 * 60_000;

/** What was learnt about registries, shared by every client of the process. */
export class AuthMemory {
  /** The challenge of a registry, by its origin. */
  readonly challenges: ExpiringMap<Challenge>;
  /** The credential that worked last, by repository, actions and the list it was chosen from. */
  readonly choices: ExpiringMap<number>;
  readonly tokens: TokenCache;
  readonly now: () => number;

  constructor(tokens: TokenCache, now: () => number) {
    this.tokens = tokens;
    this.now = now;
    this.challenges = new ExpiringMap(1_000, now);
    this.choices = new ExpiringMap(10_000, now);
  }
}

interface Try extends Attempt {
  need: Need;
  /** Candidates still to be tried, this one first. */
  left: readonly { index: number; credential: Credential }[];
  choiceKey: string | undefined;
  /** Why an earlier candidate was passed over before the registry saw it. */
  problem?: RegistryError;
  /** The challenge this header answers; undefined for a probe, or a header that came ready-made. */
  challenge?: Challenge;
  token?: { value: string; cached: boolean };
}

type Start = Pick<Try, 'need' | 'left' | 'choiceKey' | 'problem'>;

/**
 * Tries a repository's credentials, most specific first, anonymous at the end. A name and password leave only after the registry
 * has asked for them, and only to a host of the same trust. A cached token that is refused is fetched anew once.
 */
export class UpstreamAuthorizer implements Authorizer {
  readonly #site: RegistrySite;
  readonly #host: string;
  readonly #repository: string;
  readonly #source: CredentialSource;
  readonly #memory: AuthMemory;
  readonly #background: boolean;

  /** `background`: no pull waits for what is asked. */
  constructor(
    site: RegistrySite,
    host: string,
    repository: string,
    source: CredentialSource,
    memory: AuthMemory,
    { background = false }: { readonly background?: boolean | undefined } = {},
  ) {
    this.#site = site;
    this.#host = host;
    this.#repository = repository;
    this.#source = source;
    this.#memory = memory;
    this.#background = background;
  }

  async first(need: Need, signal?: AbortSignal): Promise<Attempt> {
    const request = { host: this.#host, repository: this.#repository, actions: need.actions };
    const given = await this.#source.credentials(request, signal);
    const list = given.some((credential) => credential.kind === 'anonymous') ? given : [...given, ANONYMOUS];
    const usable = list
      .map((credential, index) => ({ credential, index }))
      .filter(({ credential }) => credential.kind !== 'bearer' || credential.expiresAtMs > this.#memory.now());
    const choiceKey = this.#choiceKey(need, list);
    const chosen = choiceKey === undefined ? undefined : this.#memory.choices.get(choiceKey);
    const left = [...usable.filter(({ index }) => index === chosen), ...usable.filter(({ index }) => index !== chosen)];
    try {
      return await this.#attempt({ need, left, choiceKey }, signal);
    } catch (error) {
      if (!isGone(error)) throw error;
      // Its token server has moved, or it asks for tokens no more: it says so itself when it is asked as a stranger.
      this.#memory.challenges.delete(this.#site.base.origin);
      return this.#attempt({ need, left, choiceKey }, signal);
    }
  }

  async next(attempt: Attempt, refusal: Refusal, signal?: AbortSignal): Promise<Attempt | undefined> {
    const tried = attempt as Try;
    const challenge = preferredChallenge(parseChallenges(refusal.challenges));
    const asked = refusal.status === 401 ? challenge : undefined;
    if (asked !== undefined) this.#memory.challenges.set(this.#site.base.origin, asked, CHALLENGE_TTL_MS);
    const kind = tried.left[0]?.credential.kind;
    if (asked !== undefined && (kind === 'basic' || kind === 'identity' || kind === 'anonymous')) {
      const unanswered = tried.challenge === undefined || !sameChallenge(tried.challenge, asked);
      const canAnswer = asked.scheme === 'bearer' || kind === 'basic';
      if (unanswered && canAnswer) return this.#attempt(tried, signal);
      if (tried.token?.cached === true) return this.#attempt(tried, signal, tried.token.value);
    }
    const left = tried.left.slice(1);
    if (left.length > 0) return this.#attempt({ ...tried, left }, signal);
    // That the credential could not even be sent is what a person has to know, not that anonymous was refused.
    if (tried.problem?.code === 'untrusted-host') throw tried.problem;
    return undefined;
  }

  accepted(attempt: Attempt): void {
    const { left, choiceKey } = attempt as Try;
    if (left[0] !== undefined && choiceKey !== undefined)
      this.#memory.choices.set(choiceKey, left[0].index, CHOICE_TTL_MS);
  }

  /** The header for the first candidate that can be given one. A token server that refuses a candidate moves on to the next. */
  async #attempt(from: Start, signal?: AbortSignal, refused?: string): Promise<Try> {
    let problem = from.problem;
    for (let at = 0; at < from.left.length; at += 1) {
      const carried = problem === undefined ? {} : { problem };
      const current = { need: from.need, choiceKey: from.choiceKey, left: from.left.slice(at), ...carried };
      try {
        const { credential } = from.left[at]!;
        const made = await this.#authorize(current, credential, signal, at === 0 ? refused : undefined);
        return { ...made, anonymous: credential.kind === 'anonymous' };
      } catch (error) {
        if (
          !(error instanceof RegistryError) ||
          !['unauthorized', 'forbidden', 'rejected', 'untrusted-host'].includes(error.code)
        ) {
          throw error;
        }
        problem ??= error;
      }
    }
    if (problem === undefined || problem.code === 'untrusted-host')
      throw problem ?? new RegistryError('unauthorized', 'no credential');
    const count = from.left.length - 1;
    throw new RegistryError(
      'unauthorized',
      `cannot access ${this.#host}/${this.#repository}: every credential was refused (${count} given, and anonymous): ${problem.message}`,
      { cause: problem, ...(problem.status === undefined ? {} : { status: problem.status }) },
    );
  }

  async #authorize(
    current: Start,
    credential: Credential,
    signal: AbortSignal | undefined,
    refused: string | undefined,
  ): Promise<Try> {
    if (credential.kind === 'bearer' || credential.kind === 'header') {
      const header = credential.kind === 'bearer' ? `Bearer ${credential.token}` : credential.value;
      const { account } = credential;
      return { ...current, header, ...(account === undefined ? {} : { account }) };
    }
    const challenge = this.#memory.challenges.get(this.#site.base.origin);
    if (challenge === undefined) return { ...current, header: undefined };
    if (challenge.scheme === 'basic') {
      return { ...current, challenge, header: credential.kind === 'basic' ? basicHeader(credential) : undefined };
    }
    const secret = tokenSecretOf(credential);
    const realm = this.#realm(challenge.realm, credential);
    const token = await this.#memory.tokens.get(
      {
        realm,
        service: challenge.service,
        scopes: this.#scopes(current.need, challenge.scope),
        ...(secret === undefined ? {} : { secret }),
      },
      { signal, background: this.#background, ...(refused === undefined ? {} : { refused }) },
    );
    return { ...current, challenge, token, header: `Bearer ${token.value}` };
  }

  #realm(text: string, credential: Credential): URL {
    if (!URL.canParse(text))
      throw new RegistryError('invalid-response', `${this.#host} names the token realm "${text.slice(0, 200)}"`);
    const realm = new URL(text);
    if (sameTrust(this.#site.base, realm, this.#site.endpoint)) return realm;
    // Without a credential nothing can leak: any encrypted realm will do.
    if (credential.kind === 'anonymous' && realm.protocol === 'https:') return realm;
    throw new RegistryError(
      'untrusted-host',
      `${this.#host} asks for credentials to be sent to ${realm.protocol}//${realm.host}, which is not of its trust; ` +
        `if it is, list it in registries."${this.#host}".trusted`,
    );
  }

  /** Our own scopes, plus the registry's when it calls this repository by another name there. */
  #scopes(need: Need, asked: string | undefined): string[] {
    const own = `repository:${this.#repository}:${need.actions.join(',')}`;
    const mount = need.mountFrom === undefined ? [] : [`repository:${need.mountFrom}:pull`];
    const theirs = /^repository:([^\s]+):[a-z,*]+$/.exec(asked ?? '');
    const foreign =
      theirs !== null && theirs[1] !== this.#repository && theirs[1]!.endsWith(lastSegment(this.#repository));
    return [own, ...mount, ...(foreign ? [asked!] : [])];
  }

  /** Where it is remembered which of several credentials worked. */
  #choiceKey(need: Need, list: readonly Credential[]): string | undefined {
    if (list.length === 1) return undefined;
    return createHash('sha256')
      .update(JSON.stringify([this.#host, this.#repository, need.actions, list]))
      .digest('base64');
  }
}

const ANONYMOUS: Credential = { kind: 'anonymous' };

function sameChallenge(a: Challenge, b: Challenge): boolean {
  const realm = (challenge: Challenge) =>
    challenge.scheme === 'bearer' ? [challenge.realm, challenge.service].join(' ') : '';
  return a.scheme === b.scheme && realm(a) === realm(b);
}

/** There is nothing any more where a token was to be had. */
function isGone(error: unknown): boolean {
  return error instanceof RegistryError && (error.status === 404 || error.status === 410);
}

function lastSegment(repository: string): string {
  return repository.slice(repository.lastIndexOf('/') + 1);
}
