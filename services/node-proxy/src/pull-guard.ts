import type { AccessVerdict } from '@kuik/contracts';
import { repositoriesOf } from '@kuik/image';
import type { Logger } from '@kuik/runtime';
import { decideAccess, type AccessDecision, type Judged } from './access-decision.ts';
import type { AccessVerdicts, Who } from './access-verdicts.ts';
import { PullFailure } from './failure.ts';
import type { Pull, Repository } from './pull-path.ts';
import type { Shown, ShownGrants } from './shown-grant.ts';
import { UsedHosts } from './used-hosts.ts';
import { WeightedLru } from './weighted-lru.ts';

export interface PullGuardOptions {
  readonly mode: 'warn' | 'enforce';
  readonly unknownWhenDown: 'allow' | 'deny';
  readonly grants: Pick<ShownGrants, 'of'>;
  readonly verdicts: Pick<AccessVerdicts, 'of' | 'ofHost'>;
  readonly count: (decision: 'allowed' | 'challenged' | 'denied' | 'would-deny', reason: string) => void;
  readonly log: Logger;
  /** Epoch ms. */
  readonly now: () => number;
}

/** What may be served, until when: all that the name may mean, or the one repository that was judged. */
interface Passed {
  readonly from: readonly Repository[] | undefined;
  readonly until: number;
}

type Named = Extract<Pull, { name: string }>;
/** Every kind of pull that names what it reads: manifests, blobs, tags, referrers. */
type Asked = Named & { readonly repositories?: readonly Repository[] };

const ANYONE = 'anyone';
const REMEMBERED = 20_000;
/** What mode `warn` would have refused is told of this often. */
const TOLD_AGAIN_MS = 60_000;

/**
 * Whether a pull may be served: per repository, the same for manifests, blobs and tags, so that a digest opens nothing. What passed is
 * remembered by what was shown and asked: then, and for images that anyone may pull, the answer is there at once. Mode `warn` refuses registries
 * of which nobody uses anything, and nobody else: it finds out behind the answer whom `enforce` would have refused, and says so.
 */
export class PullGuard {
  readonly #options: PullGuardOptions;
  /** By name as asked for. */
  readonly #public = new WeightedLru<Passed>(REMEMBERED);
  /** By who and name. */
  readonly #passed = new WeightedLru<Passed>(REMEMBERED);
  readonly #hosts: UsedHosts;

  constructor(options: PullGuardOptions) {
    this.#options = options;
    const { verdicts, count, log, mode, now } = options;
    const onRefused = (name: string, requestId: string): void => {
      const reason = 'HostNotUsed';
      count('denied', reason);
      log.warn('access denied', { requestId, mode, name, reason });
    };
    this.#hosts = new UsedHosts({ verdicts, onRefused, now });
  }

  /** Whether a pull for which nothing was shown passes with all that its name may mean, and needs no look. */
  passes(pull: Named): boolean {
    const now = this.#options.now();
    const passed = this.#public.get(pull.name) ?? this.#passed.get(`${ANYONE} ${pull.name}`);
    return passed !== undefined && now < passed.until && passed.from === undefined;
  }

  /**
   * The repositories that may be read, `undefined`: all of the pull's. At once when that is known already. Throws (or rejects with) PullFailure
   * when the pull is refused.
   */
  check(
    pull: Pull,
    authorization: string | undefined,
    requestId: string,
  ): readonly Repository[] | undefined | Promise<readonly Repository[] | undefined> {
    const now = this.#options.now();
    if (!('name' in pull)) return this.#base(authorization, now);
    const open = this.#public.get(pull.name);
    if (open !== undefined && now < open.until) return open.from;
    const shown = this.#options.grants.of(authorization, now);
    const key = `${accountOf(shown)} ${pull.name}`;
    const passed = this.#passed.get(key);
    if (passed !== undefined && now < passed.until) return passed.from;
    if (this.#options.mode === 'enforce') return this.#judge(pull, shown, key, requestId);
    const meanings = meaningsOf(pull);
    const used = this.#hosts.of(pull.name, meanings, requestId);
    const serve = (from: readonly Repository[]): readonly Repository[] | undefined => {
      const known = this.#passed.get(key);
      if (known !== undefined && now < known.until) return known.from;
      const served = from.length === meanings.length ? undefined : from;
      // One look at a time: its answer is not waited for.
      this.#passed.set(key, { from: served, until: now + TOLD_AGAIN_MS });
      this.#judge(pull, shown, key, requestId, from).catch(() => undefined);
      return served;
    };
    return used instanceof Promise ? used.then(serve) : serve(used);
  }

  /** Some clients learn here, and nowhere else, that a password may be asked for. */
  #base(authorization: string | undefined, now: number): undefined {
    if (this.#options.mode !== 'enforce') return undefined;
    const shown = this.#options.grants.of(authorization, now);
    const empty = 'nobody' in shown && shown.nobody === 'nothing shown' && authorization !== undefined;
    if ('nobody' in shown && !empty) throw new PullFailure('grantNeeded', 'clients are asked whose pods they pull for');
    return undefined;
  }

  /** `among`: those of its meanings whose registry may be asked. */
  async #judge(
    pull: Asked,
    shown: Shown,
    key: string,
    requestId: string,
    among = meaningsOf(pull),
  ): Promise<readonly Repository[] | undefined> {
    const { mode, unknownWhenDown, verdicts } = this.#options;
    const who = whoOf(shown, mode);
    const judged: Judged[] = [];
    for (const repository of among) {
      const verdict = await verdicts.of(who, repository, requestId);
      judged.push({ repository, verdict });
      if (verdict.verdict === 'allowed') break;
    }
    const decision = decideAccess(judged, { named: typeof who !== 'string', unknownWhenDown });
    this.#tell(pull, shown, decision, requestId);
    if (decision.do === 'serve')
      return this.#keep(pull, key, mode === 'warn' ? among : [decision.from], decision.verdict);
    if (mode === 'warn') return undefined;
    throw new PullFailure(
      decision.failure,
      `${pull.name} is not served: ${decision.verdict.reason}${whyNobody(shown)}`,
    );
  }

  #keep(
    pull: Asked,
    key: string,
    from: readonly Repository[],
    verdict: AccessVerdict,
  ): readonly Repository[] | undefined {
    const passed = { from: from.length === meaningsOf(pull).length ? undefined : from, until: verdict.until };
    (verdict.public ? this.#public : this.#passed).set(verdict.public ? pull.name : key, passed);
    return passed.from;
  }

  /** The audit line: who asked for what, and what became of it. */
  #tell(pull: Asked, shown: Shown, decision: AccessDecision, requestId: string): void {
    const { mode, log, count } = this.#options;
    const { verdict, reason, of, until } = decision.verdict;
    const line = {
      requestId,
      mode,
      name: pull.name,
      kind: pull.kind,
      who: accountOf(shown),
      ...('nobody' in shown ? { shown: shown.nobody } : {}),
      verdict,
      reason,
      ...(of === undefined ? {} : { of }),
      until: new Date(until).toISOString(),
    };
    if (decision.do === 'serve') {
      count('allowed', reason);
      log.info('access allowed', line);
    } else if (mode === 'warn') {
      count('would-deny', reason);
      log[verdict === 'denied' ? 'warn' : 'info']('access would be denied', line);
    } else {
      count(decision.failure === 'grantNeeded' ? 'challenged' : 'denied', reason);
      log.info(decision.failure === 'grantNeeded' ? 'access needs a grant' : 'access denied', line);
    }
  }
}

function meaningsOf(pull: Asked): readonly Repository[] {
  return pull.repositories ?? repositoriesOf(pull.name);
}

function accountOf(shown: Shown): string {
  return 'nobody' in shown ? ANYONE : `${shown.namespace}/${shown.serviceAccount}`;
}

/** Of a client that shows nothing mode `warn` asks for whom its node pulls: it may not ask the client. */
function whoOf(shown: Shown, mode: PullGuardOptions['mode']): Who {
  if ('nobody' in shown) return mode === 'warn' ? 'node' : 'anyone';
  return { namespace: shown.namespace, serviceAccount: shown.serviceAccount };
}

function whyNobody(shown: Shown): string {
  return 'nobody' in shown ? ` (${shown.nobody})` : '';
}
