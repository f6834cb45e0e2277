import type { BusReports, Fate } from './port.ts';

/** Counts everything; logs each kind of trouble once per subject, so that a broken publisher cannot flood the log. */
export class Reports {
  readonly #reports: BusReports;
  readonly #told = new Set<string>();

  constructor(reports: BusReports) {
    this.#reports = reports;
  }

  get log(): BusReports['log'] {
    return this.#reports.log;
  }

  count(subject: string, fate: Fate): void {
    this.#reports.count?.(subject, fate);
  }

  /** Counts, and warns the first time this fate meets this subject. */
  trouble(subject: string, fate: Fate, message: string, fields: Record<string, unknown> = {}): void {
    this.count(subject, fate);
    const key = `${fate} ${subject}`;
    if (this.#told.has(key)) return;
    this.#told.add(key);
    this.log?.warn(message, { subject, ...fields, note: 'further ones are only counted' });
  }
}
