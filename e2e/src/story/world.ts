import type {
  ApiClient,
  ControlPlane,
  FaultProxy,
  MadeImage,
  PartProcess,
  PushedImage,
  ServiceProcess,
} from '@kuik/testbed';
import type { ServiceName } from '@kuik/contracts';

/** A pull by a real client, and what it got. */
export interface Pulled {
  /** Digest of the manifest that the client was given. */
  readonly digest: string;
  readonly ms: number;
  /** Layers whose bytes were read and verified by the client. */
  readonly layers: number;
}

/** Absent where the control plane is somebody else's, too. */
export type OwnControlPlaneParts = Readonly<Partial<Record<'kube-apiserver' | 'etcd', PartProcess>>>;

/** What a story needs of the system it is told on; the local stack and any cluster given by KUBECONFIG can offer it. */
export interface World {
  readonly api: ApiClient;
  readonly controlPlane: ControlPlane;
  readonly faults: FaultProxy;
  /** `localhost:<port>`: how images name the proxy. */
  readonly proxyPrefix: string;
  readonly cacheUrl: string;
  readonly services: Readonly<Record<ServiceName, readonly ServiceProcess[]>>;
  readonly parts: Readonly<Record<'nats' | 'redis' | 'cache-writer' | 'cache-reader' | 'upstream', PartProcess>> &
    OwnControlPlaneParts;
  /** Images put upstream by earlier steps, by canonical reference. */
  readonly pushed: Map<string, PushedImage>;
  push(host: string, repository: string, tags: readonly string[], image: MadeImage): Promise<PushedImage>;
  /** Pulls through the proxy with skopeo: `registry.example.test/shop:1.0`. */
  pull(reference: string, options?: { arch?: string; all?: boolean }): Promise<Pulled>;
  /** Whether the cache registry holds a blob in the repository that keeps `host/path`. */
  inCache(repository: string, digest: string): Promise<boolean>;
  /** The value of a metric of a process, 0 when it has none; labels must all match. */
  metric(process: ServiceProcess, name: string, labels?: Readonly<Record<string, string>>): Promise<number>;
}

/** The host of the story's own images. */
export const HOST = 'registry.example.test';
