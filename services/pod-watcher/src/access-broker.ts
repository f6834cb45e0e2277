import { ANYONE, type AccessVerdict, type AccessVerdictRequest, CLUSTER } from '@kuik/contracts';
import { canonicalHost, isRepositoryPath } from '@kuik/image';
import { BriefMemory, inTime, type Logger } from '@kuik/runtime';
import type { AccessRecords } from './access-records.ts';
import {
  type AccessFacts,
  type AccessRules,
  accessVerdict,
  type Asked,
  hostVerdict,
  isGranted,
  isRefused,
  type Said,
} from './access-verdict.ts';
import type { AccessSources, Account } from './access-sources.ts';
import type { ClusterView } from './cluster-view.ts';
import { proveAccess, type Proof, type ProvingRegistry } from './prove-access.ts';
import { awaitsCopy, publicByCopies } from './public-by-copies.ts';
import { seenWithin } from './seen-within.ts';
import type { TokenReviews } from './token-reviews.ts';

export interface AccessBrokerParts {
  readonly reviews: Pick<TokenReviews, 'requester'>;
  readonly view: ClusterView;
  readonly sources: Pick<AccessSources, 'own' | 'cluster'>;
  readonly records: Pick<AccessRecords, 'of' | 'say'>;
  readonly registry: ProvingRegistry;
  readonly rules: AccessRules;
  /** Repositories that the operator granted, by namespace. */
  readonly granted: Readonly<Record<string, readonly string[]>>;
  /** How long a pod is waited for that no watch has shown yet, and upstream for an answer; ms. */
  readonly podWaitMs: number;
  readonly patienceMs: number;
  /** A question for which nobody waits may wait this long for the word of a first copy: it spares upstream a question. */
  readonly copyWaitMs: number;
  readonly now: () => number;
  readonly log: Logger;
  readonly count: (verdict: string, reason: string) => void;
}

/** One repository, as the parts of this file hand it on. */
interface Asking {
  readonly host: string;
  readonly path: string;
  readonly name: string;
}

const NOT_TOLD_MS = 5_000;
/** The service accounts of one node that a single answer looks at. */
const ACCOUNTS_MAX = 16;

/**
 * Answers who may pull from a repository: what is known of it, upstream asked where that does not do, and the decision. Credentials are used
 * here and handed to nobody. Only our own services are answered.
 */
export class AccessBroker {
  readonly #parts: AccessBrokerParts;
  readonly #asking: BriefMemory<AccessVerdict>;
  /** By repository: several accounts that ask at once are one question to the registry, while they ask as nobody. */
  readonly #asNobody: BriefMemory<Proof>;

  constructor(parts: AccessBrokerParts) {
    this.#parts = parts;
    this.#asking = new BriefMemory({ forMs: 0, entries: 1, now: parts.now });
    this.#asNobody = new BriefMemory({ forMs: 0, entries: 1, now: parts.now });
  }

  /** Never throws: what cannot be found out is `unknown`. */
  async answer(request: AccessVerdictRequest): Promise<AccessVerdict> {
    const { log, count, now } = this.#parts;
    const started = now();
    const { host: written, repository, who, requestId } = request;
    const told = { host: written, repository, requestId, who: typeof who === 'string' ? who : nameOf(who) };
    try {
      const verdict = await this.#answer(request);
      count(verdict.verdict, verdict.reason);
      log.info('access judged', {
        ...told,
        ...verdict,
        until: new Date(verdict.until).toISOString(),
        ms: now() - started,
      });
      return verdict;
    } catch (error) {
      count('unknown', 'Failed');
      log.warn('access could not be judged', { ...told, error });
      return { verdict: 'unknown', reason: 'BrokerFailed', public: false, until: now() + NOT_TOLD_MS };
    }
  }

  /** Whether a first copy is under way that may say that the repository is public, and nothing else does yet. */
  awaitsCopy({ host, path }: Pick<Asking, 'host' | 'path'>): boolean {
    return this.#awaitsCopy({ host, path, name: `${host}/${path}` });
  }

  #awaitsCopy({ name }: Asking): boolean {
    return this.#isUsed(name) && awaitsCopy(this.#parts.view.imagesOfRepository(name));
  }

  /** Finds a verdict before anybody asks for it. Throws what keeps it from being found. */
  async foresee({ host, path }: Pick<Asking, 'host' | 'path'>, account: Account): Promise<void> {
    await this.#judge({ host, path, name: `${host}/${path}` }, account);
  }

  async #answer({ host: written, repository, who, token }: AccessVerdictRequest): Promise<AccessVerdict> {
    const { reviews, view, podWaitMs, copyWaitMs, now } = this.#parts;
    const none = (reason: string): AccessVerdict => ({
      verdict: 'unknown',
      reason,
      public: false,
      until: now() + NOT_TOLD_MS,
    });
    const host = canonicalHost(written);
    if (host === undefined || !isRepositoryPath(repository)) return none('Malformed');
    const requester = await reviews.requester(token);
    if (requester.kind === 'nobody') return none('NotOurs');
    if (who === 'host') {
      const used = await seenWithin(view, () => view.namesHost(host) || undefined, podWaitMs);
      return hostVerdict(used === true, now());
    }
    const asking = { host, path: repository, name: `${host}/${repository}` };
    await seenWithin(view, () => this.#isUsed(asking.name) || undefined, podWaitMs);
    if (who === 'anyone') return this.#judge(asking, undefined);
    if (who !== 'node') return this.#judge(asking, who);
    // A node asks for its audit lines: its pull was served.
    await seenWithin(view, () => !this.#awaitsCopy(asking) || undefined, copyWaitMs);
    return this.#judgeNode(asking, requester.kind === 'node' ? requester.node : undefined);
  }

  /** The worst that is true of any service account whose pods use it on the node; of nobody there, what anyone may. */
  async #judgeNode(asking: Asking, node: string | undefined): Promise<AccessVerdict> {
    const pods = this.#parts.view.usage.podsOfRepository(asking.name).filter((pod) => pod.node === node);
    const accounts = new Map(
      pods.map(({ namespace, serviceAccount }) => [`${namespace}/${serviceAccount}`, { namespace, serviceAccount }]),
    );
    let worst: AccessVerdict | undefined;
    for (const account of [...accounts.values()].slice(0, ACCOUNTS_MAX)) {
      const verdict = await this.#judge(asking, account);
      if (verdict.verdict !== 'allowed') return { ...verdict, of: nameOf(account) };
      if (worst === undefined || verdict.until < worst.until) worst = { ...verdict, of: nameOf(account) };
    }
    return worst ?? this.#judge(asking, undefined);
  }

  #judge(asking: Asking, account: Account | undefined): Promise<AccessVerdict> {
    const key = JSON.stringify([asking.name, account?.namespace, account?.serviceAccount]);
    return this.#asking.get(key, async () => {
      const { rules, now } = this.#parts;
      const first = accessVerdict(await this.#facts(asking, account, false), rules, now(), 'not yet');
      if (first !== 'ask') return first;
      // Another replica may have asked meanwhile.
      const facts = await this.#facts(asking, account, true);
      const second = accessVerdict(facts, rules, now(), 'not yet');
      if (second !== 'ask') return second;
      const asked = await this.#askUpstream(asking, account, facts);
      const last = accessVerdict(await this.#facts(asking, account, false), rules, now(), asked);
      if (last === 'ask') throw new Error('asked and still to ask');
      return last;
    });
  }

  async #facts({ name }: Asking, account: Account | undefined, fresh: boolean): Promise<AccessFacts> {
    const { records, granted, view, now } = this.#parts;
    const of = (whose: string): Promise<Said> => records.of(name, whose, { fresh });
    const [anyone, cluster, own] = await Promise.all([
      of(ANYONE),
      of(CLUSTER),
      account === undefined ? {} : of(nameOf(account)),
    ]);
    return {
      used: this.#isUsed(name),
      granted: account !== undefined && isGranted(granted[account.namespace], name),
      named: account !== undefined,
      public: publicByCopies(anyone, view.imagesOfRepository(name), now()),
      cluster,
      own,
    };
  }

  #isUsed(name: string): boolean {
    const { view } = this.#parts;
    return (
      view.usage.podsOfRepository(name).length > 0 ||
      view.imagesOfRepository(name).length > 0 ||
      view.usage.templatesOfRepository(name).length > 0
    );
  }

  /** Upstream's time is bounded; what it says later is still remembered. */
  async #askUpstream(asking: Asking, account: Account | undefined, facts: AccessFacts): Promise<Asked> {
    const asked = await inTime(this.#parts.patienceMs, this.#prove(asking, account, facts));
    return asked.late ? 'down' : asked.value;
  }

  /** Anonymous first, so that public images need no credential; then the cluster's, then the account's own. */
  async #prove(asking: Asking, account: Account | undefined, facts: AccessFacts): Promise<Asked> {
    const { registry, records, sources, now } = this.#parts;
    const reference = this.#parts.view.referenceIn(asking.name);
    const ask = (credential: Parameters<typeof proveAccess>[2]): Promise<Proof> =>
      proveAccess(registry, { ...asking, reference }, credential);
    const say = (whose: string, word: 'proven' | 'refused') => records.say(asking.name, whose, word, now());
    let open = false;

    if (!isRefused(facts.public, now())) {
      const proof = await this.#asNobody.get(asking.name, () => ask({ kind: 'anonymous' }));
      if (proof === 'passed') {
        await say(ANYONE, 'proven');
        return 'answered';
      }
      if (proof === 'down') return 'down';
      // "There is no such repository" is what many say of a private one.
      if (proof === 'limited') open = true;
      else await say(ANYONE, 'refused');
    }
    const further = [
      { whose: CLUSTER, said: facts.cluster, credentials: () => sources.cluster(asking) },
      ...(account === undefined
        ? []
        : [{ whose: nameOf(account), said: facts.own, credentials: () => sources.own(asking, account) }]),
    ];
    for (const { whose, said, credentials } of further) {
      if (isRefused(said, now())) continue;
      let doubt = false;
      for (const credential of await credentials()) {
        const proof = await ask(credential);
        if (proof === 'passed') {
          await say(whose, 'proven');
          return 'answered';
        }
        if (proof === 'down') return 'down';
        doubt ||= proof !== 'refused';
      }
      if (doubt) open = true;
      else await say(whose, 'refused');
    }
    return open ? 'down' : 'answered';
  }
}

function nameOf({ namespace, serviceAccount }: Account): string {
  return `${namespace}/${serviceAccount}`;
}
