import type { Mistake } from './env-overlay.ts';

/** Every mistake of a configuration at once. `render()` is what a person sees. */
export class ConfigError extends Error {
  readonly code = 'KUIK-CFG-001';
  readonly mistakes: readonly Mistake[];
  /** The file, or `the environment`. */
  readonly where: string;

  constructor(where: string, mistakes: readonly Mistake[]) {
    super(
      `${mistakes.length} configuration ${mistakes.length === 1 ? 'mistake' : 'mistakes'} in ${where}: ${mistakes.map((m) => `${m.path}: ${m.reason}`).join('; ')}`,
    );
    this.name = 'ConfigError';
    this.where = where;
    this.mistakes = mistakes;
  }

  render(): string {
    const count = `${this.mistakes.length} ${this.mistakes.length === 1 ? 'mistake' : 'mistakes'}`;
    const width = Math.max(18, ...this.mistakes.map((mistake) => mistake.path.length + 2));
    const lines = this.mistakes.map((mistake) => `              ${mistake.path.padEnd(width)} ${mistake.reason}`);
    return [`config error  ${count} in ${this.where}`, ...lines].join('\n');
  }
}
