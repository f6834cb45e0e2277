/** The narrow shape of every object we read; projections keep less. */
export interface ObjectMeta {
  name: string;
  namespace?: string;
  uid: string;
  resourceVersion: string;
  generation?: number;
  creationTimestamp?: string;
  deletionTimestamp?: string;
  labels?: Record<string, string>;
  annotations?: Record<string, string>;
  finalizers?: string[];
  ownerReferences?: { apiVersion: string; kind: string; name: string; uid: string; controller?: boolean }[];
}

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
  | 'not-found' | 'already-exists' | 'conflict' | 'gone' | 'invalid' | 'forbidden' | 'unauthorized' | 'too-many-requests' | 'unavailable' | 'timeout' | 'aborted' | 'unexpected';

/** Typed calls over one keep-alive transport. Every method throws KubeError. */
export interface KubeClient {
  get<T extends KubeObject>(resource: Resource, name: ObjectName, options?: CallOptions): Promise<T>;
  list<T extends KubeObject>(resource: Resource, options?: ListOptions): Promise<{ items: T[]; resourceVersion: string }>;
  create<T extends KubeObject>(resource: Resource, object: object, options?: CallOptions & { namespace?: string }): Promise<T>;
  /** Server-side apply, forced, as `fieldManager`; `subresource: 'status'` for stanzas. Returns the whole resulting object. */
  apply<T extends KubeObject>(resource: Resource, name: ObjectName, patch: object, options: ApplyOptions): Promise<T>;
  /** RFC 7386 merge patch. */
  mergePatch<T extends KubeObject>(resource: Resource, name: ObjectName, patch: object, options?: CallOptions & { subresource?: 'status' }): Promise<T>;
  /** Deletes; `resourceVersion`/`uid` become preconditions. Not found is not an error (returns false). */
  delete(resource: Resource, name: ObjectName, options?: CallOptions & { uid?: string; resourceVersion?: string }): Promise<boolean>;
  tokenReview(token: string, audiences: string[], options?: CallOptions): Promise<TokenReviewResult>;
  /** For what has no method here: a JSON call to a path. */
  raw<T>(method: string, path: string, body?: object, options?: CallOptions & { contentType?: string }): Promise<T>;
  close(): Promise<void>;
}

export interface CallOptions {
  signal?: AbortSignal;
  timeoutMs?: number;
}

export interface ListOptions extends CallOptions {
  namespace?: string;
  labelSelector?: string;
  fieldSelector?: string;
  /** Page size; pages are followed to the end. Default 500. */
  limit?: number;
}

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
  idleTimeoutMs?: number;
  resyncMs?: number;
}

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

/** Events (events.k8s.io/v1): deduplicated by object, reason and message within a window; never throws, never blocks. */
export interface EventRecorder {
  event(object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string): void;
  flush(): Promise<void>;
}
