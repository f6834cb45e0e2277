import type { ObjectMeta } from '@kuik/contracts';

export type { ObjectMeta };

/** The narrow shape of every object we read; projections keep less. */
export interface KubeObject {
  apiVersion?: string;
  kind?: string;
  metadata: ObjectMeta;
}

/** Which collection: `/api/v1/pods` is `{ version: 'v1', plural: 'pods' }`, ours is `{ group: 'kuik.enix.io', ... }`. */
export interface Resource {
  group?: string;
  version: string;
  plural: string;
  kind: string;
  namespaced: boolean;
}

export interface ObjectName {
  name: string;
  namespace?: string;
}

/** An API server's refusal or absence, with a closed code. `retry` says whether the same call may succeed later. */
export type KubeErrorCode =
  | 'not-found'
  | 'already-exists'
  | 'conflict'
  | 'gone'
  | 'invalid'
  | 'forbidden'
  | 'unauthorized'
  | 'too-many-requests'
  | 'unavailable'
  | 'timeout'
  | 'aborted'
  | 'unexpected';

/** Typed calls over one keep-alive transport. Every method throws KubeError. */
export interface KubeClient {
  /** One JSON object by name. */
  get<T extends KubeObject>(resource: Resource, name: ObjectName, options?: CallOptions): Promise<T>;
  list<T extends KubeObject>(resource: Resource, options?: ListOptions): Promise<Page<T>>;
  /** The same list page by page, so that thousands of objects need not be held at once. Throws 'gone' when the server forgot the list's version in between. */
  pages<T extends KubeObject>(resource: Resource, options?: ListOptions): AsyncIterable<Page<T>>;
  /** Changes after `resourceVersion`. Ends when the server closes; an ERROR event is thrown, as is silence ('timeout'). Use a Reflector. */
  watch<T extends KubeObject>(resource: Resource, options: WatchOptions): AsyncIterable<WatchEvent<T>>;
  create<T extends KubeObject>(
    resource: Resource,
    object: object,
    options?: CallOptions & { namespace?: string },
  ): Promise<T>;
  /** Server-side apply, forced, as `fieldManager`; `subresource: 'status'` for stanzas. Returns the whole resulting object. */
  apply<T extends KubeObject>(resource: Resource, name: ObjectName, patch: object, options: ApplyOptions): Promise<T>;
  /** RFC 7386 merge patch. */
  mergePatch<T extends KubeObject>(
    resource: Resource,
    name: ObjectName,
    patch: object,
    options?: CallOptions & { subresource?: 'status' },
  ): Promise<T>;
  /** Deletes; `resourceVersion`/`uid` become preconditions. Not found is not an error (returns false). */
  delete(
    resource: Resource,
    name: ObjectName,
    options?: CallOptions & { uid?: string; resourceVersion?: string },
  ): Promise<boolean>;
  tokenReview(token: string, audiences: string[], options?: CallOptions): Promise<TokenReviewResult>;
  /** For what has no method here: a JSON call to a path. */
  raw<T>(method: string, path: string, body?: object, options?: CallOptions & { contentType?: string }): Promise<T>;
  close(): Promise<void>;
}

export interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

export interface Page<T> {
  items: T[];
  /** Version of the whole list; the same on each of its pages. */
  resourceVersion: string;
}

export interface ListOptions extends CallOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Page size; pages are followed to the end. Default 500; 0 asks for everything at once. */
  limit?: number;
}

export interface WatchOptions {
  signal?: AbortSignal;
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Follow from here: a list's, an event's or a bookmark's version. */
  resourceVersion: string;
  /** The server ends the watch after this long. */
  timeoutSeconds?: number;
  /** Silence of this length ends the watch with KubeError 'timeout'. 0: never. */
  idleTimeoutMs?: number;
  /** Told whenever anything was heard of the server. */
  onContact?: () => void;
}

export type WatchEvent<T> =
  { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: T } | { type: 'BOOKMARK'; resourceVersion: string };

export interface ApplyOptions extends CallOptions {
  fieldManager: string;
  subresource?: 'status';
}

export interface TokenReviewResult {
  authenticated: boolean;
  username?: string;
  /** `authentication.kubernetes.io/node-name` and `.../pod-name` of a bound token, when the server tells. */
  nodeName?: string;
  podName?: string;
  audiences?: string[];
  error?: string;
}

/** How to reach an API server. Without `kubeconfig`: from inside a cluster, as the pod's own service account. */
export interface KubeClientOptions {
  /** Path of a kubeconfig file. */
  kubeconfig?: string | undefined;
  /** A context of the kubeconfig; default its current one. */
  context?: string | undefined;
  /** Used without `kubeconfig`. Defaults: what kubelet tells every pod of the API server's address, and the files that every pod has. */
  inCluster?: { server?: string; tokenFile?: string; caFile?: string } | undefined;
  userAgent?: string;
  /** Time for one call, waiting for a socket included. Default 15 s. */
  timeoutMs?: number;
  /** Sockets for calls (each watch has its own besides). Default 8. */
  maxSockets?: number;
  /** How long a token that was read from a file (or got from a plugin) is used before it is read again. Default 10 s. */
  tokenMaxAgeMs?: number;
  /** Told of each call that ended: for metrics. `status` is the HTTP status, or the KubeErrorCode when there was none. */
  onCall?: (call: KubeCall) => void;
}

export interface KubeCall {
  verb: string;
  /** Plural name, or '' of a raw call. */
  resource: string;
  status: string;
  ms: number;
}

/** List, then follow: a local copy of one collection that heals itself. */
export interface Reflector<P> {
  start(): void;
  stop(): Promise<void>;
  /** True after the first full list, and for as long as the last contact is younger than the staleness limit. */
  synced(): boolean;
  /** Resolves when the first full list is in. Rejects when `signal` aborts. */
  whenSynced(signal: AbortSignal): Promise<void>;
  get(name: ObjectName): P | undefined;
  values(): IterableIterator<P>;
  size(): number;
  /** Milliseconds since anything was heard of the server; Infinity before the first word. */
  contactAgeMs(): number;
}

export interface ReflectorOptions<T extends KubeObject, P> {
  client: KubeClient;
  resource: Resource;
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Keeps only what is needed of an object; what it returns is stored. */
  project: (object: T) => P;
  /** Called for each change; `old` is undefined for new, `now` is undefined for gone. Never called for identical resourceVersions. */
  onChange?: (change: { name: ObjectName; old: P | undefined; now: P | undefined }) => void;
  /** Called after each full list (the first one and every relist/resync), when all of its changes were delivered. */
  onResync?: () => void;
  pageSize?: number;
  watchTimeoutSeconds?: number;
  /** Silence of a watch after which it counts as broken. The server sends bookmarks about every minute. Default 90 s. */
  idleTimeoutMs?: number;
  /** Full list at least this often (jittered by a tenth). Default 30 min. */
  resyncMs?: number;
  /** Without contact for this long, `synced()` is false. Default 150 s. */
  staleAfterMs?: number;
  /** Waits between attempts. Default 200 ms, doubling to 30 s, jittered. */
  backoff?: Backoff;
  /** Told what happens, for metrics and logs; must not throw. */
  observe?: (event: ReflectorEvent) => void;
}

export interface Backoff {
  firstMs: number;
  maxMs: number;
}

/** Why a list or a watch was started. */
export type ReflectorCause = 'start' | 'closed' | 'idle' | 'gone' | 'error' | 'resync';

export type ReflectorEvent =
  /** `repaired`: what differs from what was known before; of a first list nothing. */
  | { kind: 'list'; resource: string; why: ReflectorCause; items: number; repaired: number; ms: number }
  | { kind: 'watch'; resource: string; why: ReflectorCause }
  | { kind: 'change'; resource: string; type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' }
  | { kind: 'error'; resource: string; error: unknown; failures: number; nextInMs: number };

/** A Lease held by at most one holder. `isLeader()` is monotonic-clock checked: false as soon as the last renewal is too old. */
export interface Leadership {
  start(): void;
  /** Releases the lease when held. */
  stop(): Promise<void>;
  isLeader(): boolean;
  /** Throws KubeError 'conflict' when not leader any more: call it before every write. */
  assertLeader(): void;
  onChange(listener: (leader: boolean) => void): void;
}

export interface LeadershipOptions {
  client: KubeClient;
  namespace: string;
  /** Of the Lease. */
  name: string;
  /** Unique per process: the pod's name. */
  identity: string;
  /** How long a holder that fell silent is waited for; whole seconds. Default 15 s. */
  leaseMs?: number;
  /** Time between renewals, and between attempts of the others. Default a fifth of the lease. */
  renewMs?: number;
  /** The holder gives up this long before the others may take over. Default a fifth of the lease. */
  skewMs?: number;
  /** Told of each round that failed. */
  onError?: (error: unknown) => void;
}

/** Events (events.k8s.io/v1): deduplicated by object, reason and message within a window; never throws, never blocks. */
export interface EventRecorder {
  event(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** Sends what waits, as far as the server takes it within a few seconds. */
  flush(): Promise<void>;
  /** Flushes, then stops. Later events are dropped. */
  close(): Promise<void>;
}

export interface EventRecorderOptions {
  client: KubeClient;
  /** `reportingController`: kuik.enix.io/<service>. */
  controller: string;
  /** `reportingInstance`: the pod's name. */
  instance: string;
  /** The same event again, within this time after the last, only raises the count of the first. Default 1 h. */
  windowMs?: number;
  /** Waiting time before sending, in which repetitions are folded. Default 1 s. */
  delayMs?: number;
  /**
   * Whether there is something more urgent for the API server than events, looked at before each is written. They wait then, a minute in a row at
   * most; a warning, and the end, wait for nothing. Default: never.
   */
  holds?: () => boolean;
  /** Different events that may wait, about 1 KiB each; more are dropped. Default 8,192. */
  maxPending?: number;
  /** Told of each event that could not be sent or was dropped. */
  onError?: (error: unknown) => void;
}
