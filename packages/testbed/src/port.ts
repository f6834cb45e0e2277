import type { RedisService, ServiceName } from '@kuik/contracts';
import type { ControlPlane } from './control-plane/port.ts';

// What is not a single server is beside what makes it.
export type * from './control-plane/port.ts';
export type * from './node/port.ts';
export type * from './stack/service-port.ts';

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
  /** Where it writes every change, as text (`appendonlydir`). */
  readonly folder: string;
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
