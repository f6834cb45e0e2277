/** One line of a service's log: JSON, message first. */
export interface LogLine {
  readonly message?: unknown;
  readonly [field: string]: unknown;
}

/** The JSON lines of a log's text; anything else in it is passed over. */
export function linesOf(log: string): LogLine[] {
  return log.split('\n').flatMap((text) => {
    try {
      const value = JSON.parse(text) as LogLine | null;
      return typeof value === 'object' && value !== null ? [value] : [];
    } catch {
      return [];
    }
  });
}
