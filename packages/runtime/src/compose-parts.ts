import { withDeadline } from './deadline.ts';
import type { NotReady } from './health-server.ts';
import { silentLogger } from './logger.ts';
import type { App, Logger, Part } from './port.ts';

export interface ComposeOptions {
  readonly log?: Logger;
  /** How long each part may take to start, default 60 s; and to close, default 10 s. */
  readonly startMs?: number;
  readonly closeMs?: number;
}

/** The parts as one app, and what of them is not ready. */
export interface Composition extends App {
  notReady(): NotReady[];
}

/**
 * Starts the parts in the given order (leaf to root: what others need comes first) and closes them in reverse. A part that fails to
 * start ends the ones before it; a part that fails to close, or takes too long, is logged and passed over. `close` is idempotent and
 * may come at any time; a running `start` sees its signal aborted.
 */
export function composeParts(parts: readonly Part[], options: ComposeOptions = {}): Composition {
  const { log = silentLogger, startMs = 60_000, closeMs = 10_000 } = options;
  const ending = new AbortController();
  const begun: Part[] = [];
  const started = new Set<Part>();
  let starting: Promise<void> | undefined;
  let closing: Promise<void> | undefined;

  const startAll = async (): Promise<void> => {
    for (const part of parts) {
      ending.signal.throwIfAborted();
      begun.push(part);
      await withDeadline(`starting ${part.name}`, startMs, part.start?.(ending.signal) ?? Promise.resolve());
      started.add(part);
      log.debug('part started', { part: part.name });
    }
  };

  const closeAll = async (): Promise<void> => {
    for (const part of begun.reverse()) {
      try {
        await withDeadline(`closing ${part.name}`, closeMs, part.close?.() ?? Promise.resolve());
        log.debug('part closed', { part: part.name });
      } catch (error) {
        log.warn('part did not close cleanly', { part: part.name, error });
      }
    }
  };

  const close = (): Promise<void> => {
    closing ??= (async () => {
      ending.abort(new Error('closing'));
      // A start under way sees the signal; its failure was told to its caller.
      if (starting !== undefined) await withDeadline('ending the start', closeMs, starting).catch(() => undefined);
      await closeAll();
    })();
    return closing;
  };

  return {
    start() {
      starting ??= startAll();
      return starting.catch(async (error: unknown) => {
        await close();
        throw error;
      });
    },
    close,
    notReady() {
      if (closing !== undefined) return [{ part: 'app', reason: 'closing' }];
      return parts.flatMap((part) => {
        const reason = started.has(part) ? part.notReady?.() : 'starting';
        return reason === undefined ? [] : [{ part: part.name, reason }];
      });
    },
  };
}
