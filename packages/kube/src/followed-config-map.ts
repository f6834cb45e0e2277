import { METRICS } from '@kuik/contracts';
import type { KubeHost } from './open-kube.ts';
import type { KubeClient, KubeObject, ObjectName, ReflectorOptions } from './port.ts';
import { createReflector } from './reflector.ts';
import { CONFIG_MAPS } from './resources.ts';
import { watchMetrics } from './watch-metrics.ts';

export interface ConfigMap extends KubeObject {
  data?: Record<string, string>;
}

/** One ConfigMap as it is now. */
export interface FollowedConfigMap {
  readonly name: string;
  /** Resolves with the first list, or after `firstMs` without it: then it comes when it comes. */
  start(signal?: AbortSignal): Promise<void>;
  close(): Promise<void>;
  /** Whether it was listed, and the API server was heard of since. */
  synced(): boolean;
  /** As it was last seen; undefined while none is there, or was seen. */
  current(): { readonly data: Readonly<Record<string, string>>; readonly resourceVersion: string } | undefined;
  /** Called when it is listed, has changed, or is gone. */
  onChange(listener: () => void): void;
}

export interface FollowOptions {
  readonly client: KubeClient;
  readonly map: Required<ObjectName>;
  readonly host: {
    readonly log: Pick<KubeHost['log'], 'warn'>;
    readonly metrics: Pick<KubeHost['metrics'], 'counter'>;
  };
  /** How long `start` waits for the first list, ms. Default 0. */
  readonly firstMs?: number;
  readonly backoff?: ReflectorOptions<ConfigMap, unknown>['backoff'];
}

/** Follows one ConfigMap by its name: a Role needs list and watch on that name alone. While the API server is away, the last word counts. */
export function followConfigMap({ client, map, host, firstMs = 0, backoff }: FollowOptions): FollowedConfigMap {
  const count = watchMetrics(host.metrics);
  const failures = host.metrics.counter(METRICS.loopFailures);
  const listeners: (() => void)[] = [];
  const changed = (): void => listeners.forEach((listener) => listener());
  const reflector = createReflector<ConfigMap, NonNullable<ReturnType<FollowedConfigMap['current']>>>({
    client,
    resource: CONFIG_MAPS,
    namespace: map.namespace,
    fieldSelector: `metadata.name=${map.name}`,
    project: ({ metadata: { resourceVersion }, data = {} }) => ({ data, resourceVersion }),
    onChange: changed,
    onResync: changed,
    observe(event) {
      count(event);
      if (event.kind !== 'error') return;
      failures.inc({ loop: `watch-${event.resource}`, code: (event.error as { code?: string }).code ?? 'unexpected' });
      host.log.warn('watch failed', { ...event, map: map.name });
    },
    ...(backoff === undefined ? {} : { backoff }),
  });
  return {
    name: map.name,
    async start(signal) {
      reflector.start();
      if (firstMs === 0) return;
      const enough = AbortSignal.timeout(firstMs);
      await reflector
        .whenSynced(signal === undefined ? enough : AbortSignal.any([signal, enough]))
        .catch((error: unknown) => host.log.warn('begun without a first list', { map: map.name, error }));
    },
    close: () => reflector.stop(),
    synced: () => reflector.synced(),
    current: () => reflector.get(map),
    onChange: (listener) => void listeners.push(listener),
  };
}
