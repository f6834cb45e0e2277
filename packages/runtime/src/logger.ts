import { createLogger as createWinston, format } from 'winston';
import type { Logger as Winston } from 'winston';
import Transport from 'winston-transport';
import { standardOutput } from './line-batch.ts';
import type { Logger } from './port.ts';
import { isFlat, isSuspicious, redact, redactText } from './redact.ts';

/** Where winston puts what a format has made of a line. */
const RENDERED = Symbol.for('message');

export const LOG_LEVELS = ['error', 'warn', 'info', 'debug'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LoggerOptions {
  readonly service: string;
  readonly level?: LogLevel;
  readonly format?: 'json' | 'pretty';
  /** Where lines go; default standard output. */
  readonly write?: (line: string) => void;
}

/** Level and format from LOG_LEVEL and LOG_FORMAT; unknown values mean the default (info, json). */
export function logSettings(env: Readonly<Record<string, string | undefined>>): {
  level: LogLevel;
  format: 'json' | 'pretty';
} {
  const level = LOG_LEVELS.find((known) => known === env['LOG_LEVEL']?.toLowerCase()) ?? 'info';
  return { level, format: env['LOG_FORMAT'] === 'pretty' ? 'pretty' : 'json' };
}

/** A logger of one JSON line per call: message first, then level, time, service and the fields, without secrets. */
export function createLogger(options: LoggerOptions): Logger {
  const { service, level = 'info', write = standardOutput() } = options;
  const render = options.format === 'pretty' ? renderPretty : renderJson;
  const winston = createWinston({
    level,
    format: format.printf((info) => render(info as unknown as Line)),
    transports: [new Lines(write)],
  });
  return new WinstonLogger(winston, { service });
}

/** Hands each line on as it is; winston's own transports put one stream more and a turn of the event loop in between. */
class Lines extends Transport {
  readonly #write: (line: string) => void;

  constructor(write: (line: string) => void) {
    super();
    this.#write = write;
  }

  override log(info: Readonly<Record<symbol, string>>, next: () => void): void {
    this.#write(info[RENDERED]!);
    next();
  }
}

/** Writes nothing: for tests and for parts that were given no logger. */
export const silentLogger: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
  child: () => silentLogger,
};

interface Line {
  message: string;
  level: string;
  fields: Record<string, unknown>;
}

class WinstonLogger implements Logger {
  readonly #winston: Winston;
  readonly #base: Record<string, unknown>;

  constructor(winston: Winston, base: Record<string, unknown>) {
    this.#winston = winston;
    this.#base = base;
  }

  debug(message: string, fields?: Record<string, unknown>): void {
    this.#log('debug', message, fields);
  }

  info(message: string, fields?: Record<string, unknown>): void {
    this.#log('info', message, fields);
  }

  warn(message: string, fields?: Record<string, unknown>): void {
    this.#log('warn', message, fields);
  }

  error(message: string, fields?: Record<string, unknown>): void {
    this.#log('error', message, fields);
  }

  child(fields: Record<string, unknown>): Logger {
    return new WinstonLogger(this.#winston, { ...this.#base, ...fields });
  }

  #log(level: LogLevel, message: string, fields: Record<string, unknown> | undefined): void {
    if (this.#winston.isLevelEnabled(level))
      this.#winston.log({ level, message, fields: { ...this.#base, ...fields } });
  }
}

/** Most lines are flat and hold no secret: those are looked at once, as they are printed. */
function renderJson({ message, level, fields }: Line): string {
  const time = new Date().toISOString();
  if (isFlat(fields)) {
    const printed = JSON.stringify({ message, level, time, ...fields });
    if (!isSuspicious(printed)) return printed;
  }
  const clean = redact(fields) as Record<string, unknown>;
  return JSON.stringify({ message: redactText(message), level, time, ...clean });
}

function renderPretty({ message, level, fields }: Line): string {
  const { service, time: happened = new Date().toISOString(), ...rest } = redact(fields) as Record<string, unknown>;
  const pairs = Object.entries(rest).map(
    ([key, value]) => `${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  const time = String(happened).slice(11, 23);
  return [time, level.toUpperCase().padEnd(5), String(service).padEnd(12), redactText(message), ...pairs].join(' ');
}
