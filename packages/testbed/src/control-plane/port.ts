import type { PartProcess } from '../port.ts';

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
