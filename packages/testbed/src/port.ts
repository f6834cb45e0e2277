import type { RedisService, ServiceName } from '@kuik/contracts';

/** A program the testbed runs but does not contain. */
export type PartName =
  | 'kube-apiserver'
  | 'etcd'
  | 'nats-server'
  | 'registry'
  | 'helm'
  | 'redis-server'
  | 'skopeo'
  | 'kubectl'
  | 'nginx'
  | 'oci-conformance'
  | 'containerd'
  | 'containerd-shim-runc-v2'
  | 'ctr'
  | 'kube-controller-manager'
  | 'kube-scheduler'
  | 'kubelet'
  | 'runc'
  | 'cni-plugins';

/** One running server. Data and port survive `kill` and `restart`; `stop` ends it for good and removes its data. */
export interface PartProcess {
  /** `nats`, `cache-writer`, `webhook-1`: unique within a run, and the log file's name. */
  readonly name: string;
  /** Of the current process; 0 while none runs. */
  readonly pid: number;
  /** Its main port on 127.0.0.1; the same after a restart. */
  readonly port: number;
  /** Everything it printed, kept in the run's folder after it stopped. */
  readonly logFile: string;
  running(): boolean;
  /** Sends the signal (default SIGKILL) to it and its children; resolves when the process is gone. SIGSTOP and SIGCONT return at once. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again with the same port, arguments and data, and waits until it is ready; ends a running one first (SIGTERM). */
  restart(): Promise<void>;
  /** SIGTERM, SIGKILL after a few seconds, then its data is removed. Idempotent. */
  stop(): Promise<void>;
  /** Resolves when its readiness check passes; throws with the log's last lines when it exits or the deadline passes. */
  ready(timeoutMs?: number): Promise<void>;
}

/** nats-server with JetStream; one nkey user per service with the permissions of `natsPermissions()`. */
export interface NatsServer extends PartProcess {
  /** `nats://127.0.0.1:<port>` */
  readonly url: string;
  /** nkey seed (`SU...`) of each service's user. Its inbox prefix is `_INBOX_<service>`. */
  readonly seeds: Readonly<Record<ServiceName, string>>;
  /** Seed of a user that may do everything: for a test's own looking around, never for a service. */
  readonly testSeed: string;
  /** Removes every stream, bucket and consumer. */
  purge(): Promise<void>;
}

/** redis-server >= 7, `noeviction`, one ACL user per service. */
export interface RedisServer extends PartProcess {
  /** `redis://kuik-<service>:<password>@127.0.0.1:<port>/0` with that service's ACL. */
  url(service: RedisService): string;
  /** A user that may do everything, outside the product's ACL. */
  readonly testUrl: string;
  /** FLUSHALL. */
  flush(): Promise<void>;
}

/** A key whose tokens one of the cache registry's processes trusts. PEM throughout. */
export interface RegistryKey {
  /** `kuik-w` or `kuik-r`; claim `iss`. */
  readonly issuer: string;
  /** `kuik`; claim `aud`. */
  readonly audience: string;
  readonly privateKey: string;
  /** Self-signed certificate; its DER in base64 is the token's `x5c`. */
  readonly certificate: string;
}

export interface RegistryAccess {
  /** Exact repository name, `docker.io/library/nginx`. */
  readonly repository: string;
  readonly actions: readonly ('pull' | 'push' | 'delete')[];
}

/** Two Distribution processes over one storage folder: `writer` trusts the writers' key, `reader` is read-only and trusts the readers'. */
export interface CacheRegistry {
  readonly writer: PartProcess;
  readonly reader: PartProcess;
  /** `http://127.0.0.1:<port>` */
  readonly writerUrl: string;
  readonly readerUrl: string;
  readonly writerKey: RegistryKey;
  readonly readerKey: RegistryKey;
  /** The storage root, for tests that look at (or damage) what is stored. */
  readonly folder: string;
  /** An `Authorization` header value for `Bearer` access, signed with the given side's key, valid five minutes. */
  authorization(side: 'writer' | 'reader', access: readonly RegistryAccess[]): string;
  /** Empties the storage; both processes are restarted. */
  wipe(): Promise<void>;
  /** Stops both. */
  stop(): Promise<void>;
}

/** A plain registry on loopback: anonymous, HTTP, deletes allowed. The fault proxy stands in front of it. */
export interface UpstreamRegistry extends PartProcess {
  /** `http://127.0.0.1:<port>`, or https */
  readonly url: string;
  /** `127.0.0.1:<port>` */
  readonly host: string;
  readonly folder: string;
}

/** A JSON call to the API server refused: its HTTP status and the Status object's reason and message. */
export interface ApiRefusal {
  readonly status: number;
  readonly reason: string;
  readonly message: string;
}

/** A small client for tests (the product's own client is @kuik/kube). Throws ApiError with `status` and `reason` for >= 400. */
export interface ApiClient {
  request<T = KubeObject>(method: string, path: string, body?: unknown, options?: ApiCall): Promise<T>;
  get<T = KubeObject>(path: string): Promise<T>;
  /** undefined instead of an error when not found. */
  find<T = KubeObject>(path: string): Promise<T | undefined>;
  list<T = KubeObject>(path: string): Promise<T[]>;
  create<T = KubeObject>(path: string, object: unknown): Promise<T>;
  /** Forced server-side apply; the object's own apiVersion, kind, namespace and name choose the path. */
  apply<T = KubeObject>(
    object: KubeObject,
    options?: { fieldManager?: string; subresource?: string; dryRun?: boolean },
  ): Promise<T>;
  /** Not found is fine. */
  delete(path: string): Promise<void>;
}

export interface ApiCall {
  readonly contentType?: string;
  /** Default `application/json`. */
  readonly accept?: string;
  /** Calls as this bearer token instead of the client's own identity. */
  readonly token?: string;
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: {
    name: string;
    namespace?: string;
    uid?: string;
    resourceVersion?: string;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
    [field: string]: unknown;
  };
  [field: string]: unknown;
}

/**
 * kube-apiserver with etcd, and no controller manager, scheduler or kubelet: what those would do and tests need is done by
 * the methods here. Node `node-1` and the default ServiceAccount of namespace `default` exist.
 */
export interface ControlPlane {
  /** `https://127.0.0.1:<port>` */
  readonly url: string;
  readonly caPem: string;
  /** Path of a kubeconfig with cluster-admin rights. */
  readonly kubeconfig: string;
  readonly api: ApiClient;
  /** Creates the namespace (if missing) with its default ServiceAccount. */
  namespace(name: string, labels?: Record<string, string>): Promise<void>;
  serviceAccount(namespace: string, name: string): Promise<void>;
  node(name: string): Promise<void>;
  /** What the scheduler would do: binds the pod to the node (default `node-1`). */
  bindPod(namespace: string, pod: string, node?: string): Promise<void>;
  /** TokenRequest; bound to the pod when one is named, which carries its node. Default audience: the API server's. */
  token(namespace: string, serviceAccount: string, options?: TokenOptions): Promise<string>;
  /** Path of a kubeconfig that holds a token of this ServiceAccount. */
  kubeconfigFor(namespace: string, serviceAccount: string): Promise<string>;
  /** Applies every document of a YAML text (server-side, forced), CRDs first, and waits until new CRDs are served. */
  applyYaml(yaml: string, options?: { dryRun?: boolean }): Promise<KubeObject[]>;
  /** The same for objects, as `CRDS` of @kuik/contracts. */
  applyAll(objects: readonly object[], options?: { dryRun?: boolean }): Promise<KubeObject[]>;
  /** Removes everything that was not there at the beginning, except CRDs. */
  wipe(): Promise<void>;
  /** Ends an own control plane; gives a leased one back. Idempotent. */
  stop(): Promise<void>;
}

export interface TokenOptions {
  readonly audiences?: readonly string[];
  readonly pod?: string;
  readonly expirationSeconds?: number;
}

/** A control plane of one's own: its processes may be killed. */
export interface OwnControlPlane extends ControlPlane {
  readonly etcd: PartProcess;
  readonly apiserver: PartProcess;
  /** A certificate that the API server trusts, as a component of a cluster gets one. PEM. */
  issue(request: CertificateRequest): { readonly certificate: string; readonly privateKey: string };
}

export interface CertificateRequest {
  /** A client's user name. */
  readonly commonName: string;
  /** A client's groups. */
  readonly organizations?: readonly string[];
  /** Names and addresses that a server is reached by. */
  readonly hosts?: readonly string[];
  readonly usages: readonly ('server' | 'client')[];
}

/** A node whose pods really start: kubelet, containerd and runc, with controller manager and scheduler. One per machine. */
export interface RealNode {
  readonly name: string;
  /** By which pods reach this machine. */
  readonly address: string;
  readonly kubelet: PartProcess;
  readonly containerd: PartProcess;
  readonly scheduler: PartProcess;
  readonly controllerManager: PartProcess;
  /** Runs containerd's own tool on what pods use and returns what it printed: `ctr('images', 'list')`. */
  ctr(...args: readonly string[]): Promise<string>;
  /** Names of the images that pods brought onto the node. */
  images(): Promise<string[]>;
  /** Removes all of them with their content, as an empty node has it. None may be in use. */
  removeImages(): Promise<void>;
  /** Ends everything and removes what it left on the machine; throws with what could not be removed. Idempotent. */
  stop(): Promise<void>;
}

export interface NodeOptions extends RuntimeSettings {
  /** Default `node-1`, the one that every control plane has: it becomes real. */
  readonly name?: string;
  /** How long another run's node may take to end; default two minutes. */
  readonly waitMs?: number;
  /** Told once when another process (its pid) has the machine's node. */
  readonly onWait?: (pid: number) => void;
}

/** Settings of containerd that decide how it pulls. */
export interface RuntimeSettings {
  /** How long a pull may go without a byte before it is given up. Default five minutes, as containerd's own. */
  readonly pullProgressTimeout?: string;
  /** Bytes of the pieces in which a layer is fetched, three at a time. Default 0: each layer in one request. */
  readonly layerFetchBuffer?: number;
}

/** What a stack can hold; the key is its name in `parts` and on the stack. */
export interface StackParts {
  controlPlane: ControlPlane;
  nats: NatsServer;
  redis: RedisServer;
  cache: CacheRegistry;
  upstream: UpstreamRegistry;
}
export type StackPart = keyof StackParts;

/** The asked-for parts and their common end. */
export type Stack<P extends StackPart = StackPart> = Pick<StackParts, P> & {
  /** `.kuik/runs/<time>`: logs. */
  readonly runFolder: string;
  /** Stops what was started, gives back what was leased, in reverse order. Idempotent. */
  stop(): Promise<void>;
};

/** What one service is and may: files and URLs for its configuration, made by `serviceIdentity`. Keys are in files alone. */
export interface ServiceIdentity {
  readonly service: ServiceName;
  /** Holds every file named here. */
  readonly folder: string;
  /** kubeconfig of its ServiceAccount. */
  readonly kubeconfig?: string;
  /** Token of its ServiceAccount for the credential broker (audience `kuik-broker`), bound to a pod on a node. */
  readonly brokerTokenFile?: string;
  /** What it signs or checks pull grants of private images by. */
  readonly grants?: { readonly certificateFile: string; readonly keyFile?: string };
  readonly nats?: { readonly url: string; readonly nkeyFile: string };
  readonly redis?: { readonly url: string; readonly username: string; readonly passwordFile: string };
  /** The side of the cache registry that this service may use; absent for services that use none. */
  readonly cache?: {
    readonly url: string;
    readonly issuer: 'kuik-w' | 'kuik-r';
    readonly keyFile: string;
    readonly certificateFile: string;
    /** Of writers: by it they know readers. */
    readonly readersCertificateFile?: string;
  };
}

export interface IdentityOptions {
  /** Default `kuik-system`. Created when missing, as is the ServiceAccount; its roles are the caller's to apply. */
  readonly namespace?: string;
  /** Default `kuik-<service>`, as in the chart. */
  readonly serviceAccount?: string;
  /** The node whose pods a node proxy may ask credentials for; default `node-1`. */
  readonly node?: string;
}

export interface StartServiceOptions {
  /** Default: the service's name; also its log's. */
  readonly name?: string;
  /** Added to a nearly empty environment (PATH, HOME, TMPDIR). */
  readonly env?: Readonly<Record<string, string>>;
  /** Where `/readyz` answers: a port that the configuration also names (see `freePort`). */
  readonly healthPort: number;
  /** `dist` (default): services/<name>/dist/main.js; `source`: src/main.ts, whose types node strips. */
  readonly from?: 'dist' | 'source';
  /** How long until `/readyz` must answer 200; default 20 s. */
  readonly readyTimeoutMs?: number;
  /** Resolve at once, without waiting for `/readyz`. */
  readonly dontWait?: boolean;
}

/** A process of ours; `port` is the health port. */
export interface ServiceProcess extends PartProcess {
  readonly service: ServiceName;
  /** `http://127.0.0.1:<healthPort>/metrics` */
  readonly metricsUrl: string;
}
