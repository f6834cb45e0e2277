import {
  GRANT_KEY_ANNOTATION,
  type GrantKey,
  IMAGE_USED,
  type ImageUsed,
  PULL_SECRET_USER,
  pullSecretName,
  RENEW_AFTER_ANNOTATION,
  signPullGrant,
} from '@kuik/contracts';
import type { Bus, Stoppable } from '@kuik/bus';
import { type KubeClient, type KubeObject, type Leadership, orAbsent, SECRETS, SERVICE_ACCOUNTS } from '@kuik/kube';
import type { Backoff, Logger, Part } from '@kuik/runtime';
import type { ClusterView } from './cluster-view.ts';
import type { HolderView } from './holder-view.ts';
import { failedRounds, KeyedQueue } from './keyed-queue.ts';
import { MANAGED_BY, type PullSecret, secretVerdict } from './pull-secret-verdict.ts';
import { isPod } from './pod-view.ts';

export interface PullGrantWriterParts {
  readonly kube: Pick<KubeClient, 'get' | 'create' | 'mergePatch'>;
  readonly bus: Pick<Bus, 'subscribe'>;
  readonly leadership: Pick<Leadership, 'isLeader' | 'assertLeader' | 'onChange'>;
  readonly view: Pick<ClusterView, 'listen' | 'usage'>;
  readonly signer: GrantKey;
  /** How images name the proxy: the keys of the secret. */
  readonly proxyPrefixes: readonly string[];
  readonly grantForMs: number;
  readonly backoff: Backoff;
  readonly now: () => number;
  readonly log: Logger;
  readonly count: (result: 'written' | 'valid' | 'foreign' | 'gone') => void;
  readonly onFailure: (loop: string, error: unknown) => void;
}

const CONCURRENCY = 4;

/**
 * Writes Secret `kuik-pull-<service account>` for the pods that admission gave it to, or would give it to once they are made of their template:
 * kubelet reads it a few milliseconds after such a pod was scheduled, and comes back only ten seconds later. Of a pod without a template it is
 * written as soon as admission tells. Renewed at half of its life for as long as there are such pods and templates; the leader alone. It
 * belongs to the service account and goes with it. One that somebody else made is left alone.
 */
export class PullGrantWriter implements Part {
  readonly name = 'pull-grants';
  readonly #parts: PullGrantWriterParts;
  readonly #queue: KeyedQueue;
  /** Until when what was written needs no look, epoch ms, by account. */
  readonly #goodUntil = new Map<string, number>();
  /** What its secrets are marked with: a key or a name of the proxy that changed makes them due. */
  readonly #mark: string;
  #stopListening: (() => void) | undefined;
  #hints: Stoppable | undefined;
  #closed = false;

  constructor(parts: PullGrantWriterParts) {
    this.#parts = parts;
    this.#mark = [parts.signer.id, ...parts.proxyPrefixes].join(' ');
    this.#queue = new KeyedQueue({
      concurrency: CONCURRENCY,
      spacingMs: 0,
      backoff: parts.backoff,
      work: (key, signal) => this.#ensure(key, signal),
      onFailure: failedRounds(parts, () => this.name),
    });
  }

  start(): Promise<void> {
    const { leadership, view, bus } = this.#parts;
    this.#stopListening = view.listen({ holderChanged: (holder) => this.#see(holder) });
    this.#hints = bus.subscribe(IMAGE_USED, ({ namespace, serviceAccount = 'default' }: ImageUsed) =>
      this.#want(`${namespace}/${serviceAccount}`),
    );
    leadership.onChange((leader) => void this.#turn(leader));
    if (leadership.isLeader()) void this.#turn(true);
    return Promise.resolve();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#stopListening?.();
    await this.#hints?.stop();
    await this.#turn(false);
  }

  async #turn(leader: boolean): Promise<void> {
    if (!leader || this.#closed) {
      this.#goodUntil.clear();
      await this.#queue.close();
      return;
    }
    this.#queue.open();
    const { usage } = this.#parts.view;
    for (const key of usage.keys()) this.#see(usage.holderOf(key)!);
  }

  #see(holder: HolderView): void {
    if (this.#needsGrant(holder)) this.#want(accountOf(holder));
  }

  /** A pod that shows a grant, or a template whose pods will. */
  #needsGrant(holder: HolderView): boolean {
    if (holder.deleting || holder.finishedAt !== undefined || holder.namespace === '') return false;
    if (isPod(holder)) return holder.showsGrant === true;
    if (holder.revision?.active === false) return false;
    return (this.#parts.view.usage.imagesOf(holder)?.used.length ?? 0) > 0;
  }

  #want(account: string): void {
    if ((this.#goodUntil.get(account) ?? -Infinity) <= this.#parts.now()) this.#queue.add(account);
  }

  /** Reads, decides, writes; comes back when the next grant is due, if anybody still needs it. */
  async #ensure(account: string, signal: AbortSignal): Promise<{ afterMs: number } | undefined> {
    const { kube, now, log, count, leadership } = this.#parts;
    const [namespace, serviceAccount] = account.split('/') as [string, string];
    const name = pullSecretName(serviceAccount);
    if (name === undefined) return undefined;
    const known = this.#goodUntil.get(account);
    if (known !== undefined && known > now()) return { afterMs: known - now() };
    if (known !== undefined && !this.#isUsed(account)) {
      this.#goodUntil.delete(account);
      return undefined;
    }
    const [found, owner] = await Promise.all([
      orAbsent(kube.get<PullSecret>(SECRETS, { namespace, name }, { signal })),
      orAbsent(kube.get<KubeObject>(SERVICE_ACCOUNTS, { namespace, name: serviceAccount }, { signal })),
    ]);
    const verdict = secretVerdict(found, this.#mark, now());
    if (verdict.do === 'leave') {
      count('foreign');
      log.warn('a Secret of our name was made by somebody else: pods of this service account show no grant', {
        namespace,
        name,
      });
      this.#goodUntil.set(account, Infinity);
      return undefined;
    }
    if (verdict.do === 'keep') {
      count('valid');
      return this.#goodFor(account, verdict.untilMs);
    }
    if (owner === undefined) {
      count('gone');
      return undefined;
    }
    leadership.assertLeader();
    const renewAfterMs = await this.#write(found, { namespace, name, serviceAccount, uid: owner.metadata.uid }, signal);
    count('written');
    log.info('pull grant written', { namespace, name, renewAfter: new Date(renewAfterMs).toISOString() });
    return this.#goodFor(account, renewAfterMs);
  }

  #goodFor(account: string, untilMs: number): { afterMs: number } {
    this.#goodUntil.set(account, untilMs);
    return { afterMs: untilMs - this.#parts.now() };
  }

  async #write(
    found: PullSecret | undefined,
    { namespace, name, serviceAccount, uid }: { namespace: string; name: string; serviceAccount: string; uid: string },
    signal: AbortSignal,
  ): Promise<number> {
    const { kube, signer, proxyPrefixes, grantForMs, now } = this.#parts;
    const renewAfterMs = now() + grantForMs / 2;
    const password = signPullGrant(signer, { namespace, serviceAccount, expiresAtMs: now() + grantForMs });
    const auth = Buffer.from(`${PULL_SECRET_USER}:${password}`).toString('base64');
    const config = JSON.stringify({ auths: Object.fromEntries(proxyPrefixes.map((prefix) => [prefix, { auth }])) });
    const metadata = {
      name,
      namespace,
      labels: { 'app.kubernetes.io/managed-by': MANAGED_BY },
      annotations: {
        [RENEW_AFTER_ANNOTATION]: new Date(renewAfterMs).toISOString(),
        [GRANT_KEY_ANNOTATION]: this.#mark,
      },
      ownerReferences: [{ apiVersion: 'v1', kind: 'ServiceAccount', name: serviceAccount, uid }],
    };
    const data = { '.dockerconfigjson': Buffer.from(config).toString('base64') };
    if (found === undefined) {
      const secret = { apiVersion: 'v1', kind: 'Secret', type: 'kubernetes.io/dockerconfigjson', metadata, data };
      await kube.create(SECRETS, secret, { namespace, signal });
    } else {
      const { resourceVersion } = found.metadata;
      await kube.mergePatch(
        SECRETS,
        { namespace, name },
        { metadata: { ...metadata, resourceVersion }, data },
        { signal },
      );
    }
    return renewAfterMs;
  }

  #isUsed(account: string): boolean {
    const { usage } = this.#parts.view;
    const [namespace] = account.split('/') as [string];
    return usage
      .holdersOfNamespace(namespace)
      .some((holder) => accountOf(holder) === account && this.#needsGrant(holder));
  }
}

function accountOf({ namespace, serviceAccount }: HolderView): string {
  return `${namespace}/${serviceAccount}`;
}
