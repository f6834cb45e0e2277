import { isDeepStrictEqual } from 'node:util';
import type { MetricSpec } from './metrics.ts';
import type { ServiceContext } from './run-service.ts';
import { Follower, type FollowedSettings, type FollowMetrics } from './followed-settings.ts';

export interface FollowConfigOptions<C> {
  readonly context: Pick<ServiceContext, 'log' | 'metrics' | 'source'>;
  /** The configuration that the service began with. */
  readonly config: C;
  /** Sections that are taken over while the process runs. */
  readonly applied: readonly (keyof C & string)[];
  /** Files that the configuration names: what changes in them is a change of it. */
  readonly files?: (config: C) => readonly string[];
  readonly specs: FollowMetrics & { readonly reloads: MetricSpec };
}

/**
 * Follows the service's own configuration file: a change is read whole, with the environment over it as at the start; with any mistake it is
 * refused, every mistake named, and what is in force stays. So it is read when a file changes that it names (a rotated CA). Listeners are told of it, and take over `applied`; what else changed is named in the
 * log as waiting for a restart. Without a file nothing ever changes.
 */
export function followConfig<C extends object>({
  context,
  config,
  applied,
  files,
  specs,
}: FollowConfigOptions<C>): FollowedSettings<C> {
  const { log, metrics, source } = context;
  const follower = new Follower<C>({
    name: 'settings',
    file: source?.file,
    initial: config,
    read: () => source!.load() as C,
    ...(files === undefined ? {} : { files }),
    log,
    metrics,
    specs,
  });
  let before = config;
  follower.onChange((changed) => {
    const sections = Object.keys({ ...before, ...changed }) as (keyof C & string)[];
    const others = sections.filter(
      (name) => !applied.includes(name) && !isDeepStrictEqual(before[name], changed[name]),
    );
    before = changed;
    if (others.length > 0) log.warn('settings changed that take effect with a restart', { settings: others });
  });
  return follower;
}
