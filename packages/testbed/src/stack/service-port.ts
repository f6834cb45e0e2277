import type { ServiceName } from '@kuik/contracts';
import type { PartProcess } from '../port.ts';

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
