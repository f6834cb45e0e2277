/**
 * Structured log line: a stable phrase first, then fields. Values under secret-looking keys are redacted. A field `time` (ISO) is when it
 * happened, of what is told later.
 */
export interface Logger {
  debug(message: string, fields?: Record<string, unknown>): void;
  info(message: string, fields?: Record<string, unknown>): void;
  warn(message: string, fields?: Record<string, unknown>): void;
  error(message: string, fields?: Record<string, unknown>): void;
  child(fields: Record<string, unknown>): Logger;
}

/** A part with a life. `start` resolves when it works; `close` drains and is idempotent. */
export interface Part {
  readonly name: string;
  start?(signal: AbortSignal): Promise<void>;
  close?(): Promise<void>;
  /** For /readyz: undefined when ready, otherwise why not. */
  notReady?(): string | undefined;
}

/** What `app.ts` of every service returns. */
export interface App {
  start(): Promise<void>;
  close(): Promise<void>;
}
