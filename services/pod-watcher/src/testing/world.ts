import type { Bus } from '@kuik/bus';
import { memoryBus, MemoryServer } from '@kuik/bus/memory';
import type { CachedImage, CacheStanza, CopyJob, Phase, Repository } from '@kuik/contracts';
import { CACHED_IMAGES, PODS, REPOSITORIES } from '@kuik/kube';
import { memoryKube } from '@kuik/kube/memory';
import type { RegistrySettings } from '@kuik/registry';
import { type Clock, createMetrics, silentLogger, systemClock } from '@kuik/runtime';
import { createApp, type PodWatcherApp } from '../app.ts';
import { loadPodWatcherConfig } from '../config.ts';
import { cacheStanza, IMAGE, podObject } from './objects.ts';

/** The registry of what is there for anything but to see that the rest has settled. */
export const LATER = 'later.example.test';

/** Polls until `check` gives something; throws after ten seconds with what was looked for. */
export async function eventually<T>(what: string, check: () => T | Promise<T>): Promise<NonNullable<T>> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const found = await check();
    if (found !== undefined && found !== null && found !== false) return found;
    if (Date.now() > deadline) throw new Error(`never saw: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** The service on memory twins; several replicas may share one world. */
export function createWorld(env: Record<string, string> = {}, clock: Clock = systemClock) {
  const kube = memoryKube();
  const server = new MemoryServer();
  const jobs: CopyJob[] = [];
  const redis = { away: false, returned: (): void => undefined };
  const pulled = new Map<string, number>();
  const registries: (RegistrySettings['registries'] | undefined)[] = [];
  const apps: PodWatcherApp[] = [];

  const replica = (identity = 'one'): PodWatcherApp => {
    const settings = {
      KUIK_NATS_URL: 'nats://127.0.0.1:1',
      KUIK_REDIS_URL: 'redis://127.0.0.1:1',
      KUIK_HTTP_HOST: '127.0.0.1',
      KUIK_HTTP_PORT: '0',
      KUIK_LEASE_IDENTITY: identity,
      KUIK_LEASE_DURATION: '1s',
      KUIK_LEASE_RENEW: '50ms',
      KUIK_RECONCILE_SPACING: '1ms',
      KUIK_RECONCILE_SETTLE: '1ms',
      KUIK_RECONCILE_HOLDERS: '1ms',
      ...env,
    };
    const load = () => loadPodWatcherConfig(settings);
    const file = env['KUIK_CONFIG'];
    const config = load();
    const app = createApp(
      config,
      {
        name: 'pod-watcher',
        log: silentLogger,
        metrics: createMetrics({ service: 'pod-watcher', defaults: false }),
        clock,
        ...(file === undefined ? {} : { source: { file, load } }),
      },
      {
        kube,
        bus: memoryBus(server),
        registry: {
          refreshTokenFor: () => Promise.reject(new Error('no exchange here')),
          exchangePullToken: () => Promise.resolve({ kind: 'anonymous' as const }),
          upstream: () => {
            throw new Error('there is no upstream here');
          },
          reconfigure: (changed) => void registries.push(changed.registries),
          close: () => Promise.resolve(),
        },
        redis: {
          producer: {
            enqueue: (job) => {
              if (!redis.away) jobs.push(job);
              return Promise.resolve(!redis.away);
            },
            onReturn: (listener) => void (redis.returned = listener),
          },
          times: {
            set: (_kind, entries) => {
              for (const [uid, at] of entries) pulled.set(uid, at);
              return redis.away ? Promise.reject(new Error('away')) : Promise.resolve();
            },
          },
          close: () => Promise.resolve(),
        },
      },
    );
    apps.push(app);
    return app;
  };

  const images = (): CachedImage[] => kube.objects<CachedImage>(CACHED_IMAGES);
  const imageOf = (sourceImage: string) => images().find(({ spec }) => spec.sourceImage === sourceImage);
  const putImage = (image: object) => kube.put<CachedImage>(CACHED_IMAGES, image as CachedImage);
  const pod = (name: string, image: string, change: Parameters<typeof podObject>[2] = {}): void => {
    kube.put(PODS, podObject(name, [image], change));
  };
  const inPhase = (image: string, phase?: Phase) =>
    eventually(`${image} in phase ${phase ?? 'any'}`, () => {
      const found = imageOf(image)?.status?.phase;
      return found === undefined || (phase !== undefined && found !== phase) ? undefined : imageOf(image);
    });
  let later = 0;
  return {
    kube,
    server,
    jobs,
    redis,
    pulled,
    /** Where registries are, as the service was told while it ran. */
    registries,
    replica,
    /** Another service's end of the bus. */
    bus: (): Bus => memoryBus(server),
    images,
    image: imageOf,
    putImage,
    /** The image once it is described. */
    summarised: (image = IMAGE) => inPhase(image),
    /** What the copier says of a copy that worked; resolves when the summary says it. */
    copied: async (change: Partial<CacheStanza> = {}) => {
      const image = await inPhase(IMAGE);
      const cache = cacheStanza({ forUid: image.metadata.uid, ...change });
      putImage({ ...image, status: { ...image.status, cache } });
      return inPhase(IMAGE, 'Ready');
    },
    /** Whatever was set off before has had its turn: something that came after it has gone all the way. */
    settled: async () => {
      later += 1;
      const image = `${LATER}/a${later}/b:1`;
      pod(`later-${later}`, image);
      await inPhase(image);
      await eventually('its repository', () =>
        kube
          .objects<Repository>(REPOSITORIES)
          .some(({ spec, status }) => spec.name === image.slice(0, -2) && status?.phase !== undefined),
      );
    },
    repositories: () => kube.objects<Repository>(REPOSITORIES),
    pod,
    writes: () =>
      kube.calls.filter(
        ({ verb, resource }) => ['create', 'apply', 'patch', 'delete'].includes(verb) && resource !== 'leases',
      ),
    close: async () => {
      await Promise.all(apps.map((app) => app.close()));
    },
  };
}
