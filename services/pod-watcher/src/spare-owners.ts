import { isSparableUid, REWRITE_STOPPED, SPARED_OWNERS } from '@kuik/contracts';
import {
  CONFIG_MAPS,
  type EventRecorder,
  type FollowedConfigMap,
  isKubeError,
  type KubeClient,
  type Leadership,
} from '@kuik/kube';
import type { Backoff, Logger, Part } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
import { type Fight, FightingOwners, type FightRules } from './fighting-owners.ts';
import { failedRounds, KeyedQueue } from './keyed-queue.ts';
import { isPod } from './pod-view.ts';
import { type Changes, rewriteStopped, sparing, tidying } from './spared-owners.ts';

export interface SpareOwnersParts {
  readonly kube: Pick<KubeClient, 'create' | 'mergePatch'>;
  readonly leadership: Pick<Leadership, 'isLeader' | 'assertLeader' | 'onChange'>;
  readonly view: Pick<ClusterView, 'listen' | 'usage'>;
  /** Whether the view knows every pod. */
  readonly complete: () => boolean;
  readonly spared: Pick<FollowedConfigMap, 'current' | 'synced' | 'onChange'>;
  readonly events: EventRecorder;
  /** Our own: where the ConfigMap is. */
  readonly namespace: string;
  readonly rules: FightRules;
  /** How long an owner without pods stays spared, ms. */
  readonly rememberMs: number;
  readonly backoff: Backoff;
  readonly now: () => number;
  readonly log: Logger;
  readonly count: (result: 'spared' | 'known' | 'unknowable') => void;
  readonly onFailure: (loop: string, error: unknown) => void;
}

/** No uid has a space that is sparable. */
const TIDY = 'tidy up';
const TIDY_MS = 60 * 60_000;

/**
 * Spares owners that fight: alone writes ConfigMap `kuik-spared-owners`, and only while it leads. Every replica watches for fights, so that
 * a new leader knows of those under way. The ConfigMap is always there: a policy that is to read it may need that.
 */
export class SpareOwners implements Part {
  readonly name = 'spare-owners';
  readonly #parts: SpareOwnersParts;
  readonly #fighting: FightingOwners;
  readonly #queue: KeyedQueue;
  /** Found and not yet spared, by uid. */
  readonly #fights = new Map<string, Fight>();
  /** Whoever was spared when this was last looked at. */
  #listed: ReadonlySet<string> = new Set();
  #stopListening: (() => void) | undefined;
  #closed = false;

  constructor(parts: SpareOwnersParts) {
    this.#parts = parts;
    this.#fighting = new FightingOwners(parts.rules);
    this.#queue = new KeyedQueue({
      concurrency: 1,
      spacingMs: 0,
      backoff: parts.backoff,
      work: (key, signal) => (key === TIDY ? this.#tidy(signal) : this.#spare(key, signal)),
      onFailure: failedRounds(parts, () => this.name),
    });
  }

  start(): Promise<void> {
    const { leadership, view, spared, now } = this.#parts;
    this.#stopListening = view.listen({
      podSeen: (before, pod) => {
        const fight = this.#fighting.see(before, pod, now());
        if (fight !== undefined) this.#found(fight);
      },
    });
    spared.onChange(() => this.#changed());
    leadership.onChange((leader) => void this.#turn(leader));
    if (leadership.isLeader()) void this.#turn(true);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening?.();
    await this.#turn(false);
  }

  /** What an owner did before a person took it off the list is not held against it. */
  #changed(): void {
    const listed = new Set(Object.keys(this.#parts.spared.current()?.data ?? {}));
    for (const uid of this.#listed) if (!listed.has(uid)) this.#fighting.forget(uid);
    this.#listed = listed;
    this.#queue.add(TIDY);
  }

  #found(fight: Fight): void {
    const { leadership, log, count } = this.#parts;
    if (!leadership.isLeader()) return;
    const { uid, ...owner } = fight.owner;
    if (!isSparableUid(uid)) {
      count('unknowable');
      log.warn('owner fights, and its uid cannot be remembered', { ...owner, uid, namespace: fight.namespace });
      return;
    }
    this.#fights.set(uid, fight);
    this.#queue.add(uid);
  }

  async #turn(leader: boolean): Promise<void> {
    if (leader && !this.#closed) {
      this.#queue.open();
      this.#queue.add(TIDY);
      return;
    }
    this.#fights.clear();
    await this.#queue.close();
  }

  async #spare(uid: string, signal: AbortSignal): Promise<undefined> {
    const { spared, now, log, count, events } = this.#parts;
    const fight = this.#fights.get(uid);
    if (fight === undefined) return;
    const { data = {} } = spared.current() ?? {};
    const known = Object.hasOwn(data, uid);
    if (!known) await this.#write(sparing(data, fight, now()), signal);
    this.#fights.delete(uid);
    count(known ? 'known' : 'spared');
    if (known) return;
    const { owner, namespace, from, to } = fight;
    log.warn('owner spared', { ...owner, namespace, from, to, count: fight.count });
    const { apiVersion, kind, name } = owner;
    // Owners are not read: their references know no version.
    const metadata = { name, namespace, uid, resourceVersion: '' };
    events.event(
      { apiVersion, kind, metadata },
      'Warning',
      REWRITE_STOPPED,
      rewriteStopped(fight, this.#parts.namespace),
    );
  }

  /** A person who took an entry away meanwhile is not overruled: it is written only over what was seen. */
  async #tidy(signal: AbortSignal): Promise<{ afterMs: number }> {
    const { spared, view, complete, rememberMs, now } = this.#parts;
    const current = spared.current();
    // Looked at again when it is listed.
    if (!spared.synced()) return { afterMs: TIDY_MS };
    if (current === undefined) await this.#create({}, signal);
    else if (complete()) {
      const hasPods = once(() => ownersOf(view));
      const changes = tidying(current.data, hasPods, now(), rememberMs);
      if (changes !== undefined) await this.#write(changes, signal, current.resourceVersion);
    }
    return { afterMs: TIDY_MS };
  }

  async #write(changes: Changes, signal: AbortSignal, resourceVersion?: string): Promise<void> {
    const { kube, namespace, leadership } = this.#parts;
    leadership.assertLeader();
    const patch = { ...(resourceVersion === undefined ? {} : { metadata: { resourceVersion } }), data: changes };
    try {
      await kube.mergePatch(CONFIG_MAPS, { namespace, name: SPARED_OWNERS }, patch, { signal });
    } catch (error) {
      if (!isKubeError(error, 'not-found')) throw error;
      await this.#create(changes, signal);
    }
  }

  /** Whoever was faster: what is missing is written in the next round. */
  async #create(changes: Changes, signal: AbortSignal): Promise<void> {
    const { kube, namespace, leadership } = this.#parts;
    leadership.assertLeader();
    const data = Object.fromEntries(Object.entries(changes).filter(([, value]) => value !== null));
    const metadata = { name: SPARED_OWNERS, namespace };
    await kube.create(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data }, { namespace, signal });
  }
}

/** The uids of all owners of pods. */
function ownersOf({ usage }: Pick<ClusterView, 'usage'>): Set<string> {
  const uids = new Set<string>();
  for (const key of usage.keysOf('pods')) {
    const holder = usage.holderOf(key);
    if (holder !== undefined && isPod(holder) && holder.owner !== undefined) uids.add(holder.owner.uid);
  }
  return uids;
}

/** Gathers them when somebody first asks. */
function once(gather: () => ReadonlySet<string>): (uid: string) => boolean {
  let uids: ReadonlySet<string> | undefined;
  return (uid) => (uids ??= gather()).has(uid);
}
