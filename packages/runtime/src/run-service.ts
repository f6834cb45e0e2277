import { createMetrics } from './metrics.ts';
import type { Metrics } from './metrics.ts';
import { systemClock } from './clock.ts';
import type { Clock } from './clock.ts';
import { ConfigError } from './config-error.ts';
import type { Env } from './config.ts';
import { withDeadline } from './deadline.ts';
import { createLogger, logSettings } from './logger.ts';
import type { App, Logger } from './port.ts';

/** What every app is given beside its configuration. */
export interface ServiceContext {
  readonly name: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Of the image that runs; absent while developing. */
  readonly version?: string;
  /** The file that the configuration came from, and how it is read again (throws ConfigError); absent: there is none. */
  readonly source?: { readonly file: string; readonly load: () => unknown };
}

export interface ServiceDefinition<C> {
  readonly name: string;
  /** Configuration from the environment; throws ConfigError. */
  readonly load: (env: Env) => C;
  /** Wires the parts; starts nothing. */
  readonly createApp: (config: C, context: ServiceContext) => App | Promise<App>;
  /** How long an orderly end may take; default 25 s (a pod has 30). */
  readonly shutdownMs?: number;
  /** A job: it ends by itself, with 0, when `start` is through. */
  readonly once?: boolean;
}

/** What the process ends with. */
export const EXIT = { ok: 0, failed: 1, config: 2, forced: 130 } as const;

/**
 * The life of a process: env -> config -> app -> run until SIGTERM or SIGINT -> ordered close. Wrong configuration prints every mistake
 * and ends with 2; an uncaught error is logged and leads to an orderly end with 1; a second signal ends at once.
 */
export async function runService<C>(definition: ServiceDefinition<C>): Promise<void> {
  const { name, load, createApp, shutdownMs = 25_000 } = definition;
  const log = createLogger({ service: name, ...logSettings(process.env) });
  let config: C;
  try {
    config = load(process.env);
  } catch (error) {
    if (error instanceof ConfigError) process.stderr.write(`${error.render()}\n`);
    else log.error('configuration cannot be loaded', { error });
    process.exitCode = EXIT.config;
    return;
  }
  const version = process.env['KUIK_VERSION'] ? { version: process.env['KUIK_VERSION'] } : {};
  const metrics = createMetrics({ service: name, ...version });
  const end = untilEnd(log);
  let app: App | undefined;
  const running = (async () => {
    const file = process.env['KUIK_CONFIG'];
    const source = file ? { source: { file, load: () => load(process.env) } } : {};
    app = await createApp(config, { name, log, metrics, clock: systemClock, ...version, ...source });
    await app.start();
    if (definition.once === true) return end.done();
    log.info('service started', { pid: process.pid, node: process.version });
  })();
  running.catch((error: unknown) =>
    error instanceof ConfigError ? end.refuse(error) : end.fail('service cannot start', error),
  );
  let code = await end.reached;
  log.info('service closing', { code });
  try {
    await withDeadline(`closing ${name}`, shutdownMs, app?.close() ?? Promise.resolve());
  } catch (error) {
    log.error('service did not close in time', { error });
    code = EXIT.failed;
  }
  log.info('service closed', { code });
  leave(code, log);
}

interface End {
  /** The exit code, once a signal came or something failed. */
  readonly reached: Promise<number>;
  fail(message: string, error: unknown): void;
  /** A person's mistakes, in a file that the configuration names. */
  refuse(error: ConfigError): void;
  done(): void;
}

function untilEnd(log: Logger): End {
  const { promise: reached, resolve } = Promise.withResolvers<number>();
  const fail = (message: string, error: unknown): void => {
    log.error(message, { error });
    resolve(EXIT.failed);
  };
  const refuse = (error: ConfigError): void => {
    process.stderr.write(`${error.render()}\n`);
    resolve(EXIT.config);
  };
  let signals = 0;
  const onSignal = (signal: NodeJS.Signals): void => {
    signals += 1;
    if (signals > 1) process.exit(EXIT.forced);
    log.info('signal received', { signal });
    resolve(EXIT.ok);
  };
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  process.on('uncaughtException', (error) => fail('uncaught error', error));
  process.on('unhandledRejection', (error) => fail('unhandled rejection', error));
  return { reached, fail, refuse, done: () => resolve(EXIT.ok) };
}

/** Everything is closed: the process ends by itself. What still holds it open is given a second, then named. */
function leave(code: number, log: Logger): void {
  process.exitCode = code;
  setTimeout(() => {
    log.warn('handles are still open', { handles: process.getActiveResourcesInfo() });
    process.stdout.write('', () => process.exit(code));
  }, 1000).unref();
}
