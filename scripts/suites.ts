/** One jest suite: its name is its configuration's, packages/tooling/jest.<name>.mjs. */
export interface Suite {
  readonly name: string;
  /** Seconds it should take on two cores. */
  readonly budget: number;
  /** Needs servers and the services' bundles. */
  readonly onRealParts: boolean;
}

export const SUITES: readonly Suite[] = [
  { name: 'unit', budget: 60, onRealParts: false },
  { name: 'integration', budget: 180, onRealParts: true },
  { name: 'stories', budget: 180, onRealParts: true },
];

/** What `npm test -- ...` asks for. */
export interface TestRequest {
  readonly suites: readonly Suite[];
  readonly full: boolean;
  /** Handed on to jest: a path, `-t name`. */
  readonly jestArgs: readonly string[];
}

/** Names of suites choose them (all by default), `--full` runs everything at its full size, the rest is jest's. */
export function readRequest(args: readonly string[]): TestRequest {
  const named = SUITES.filter((suite) => args.includes(suite.name));
  return {
    suites: named.length > 0 ? named : SUITES,
    full: args.includes('--full'),
    jestArgs: args.filter((arg) => arg !== '--full' && !SUITES.some((suite) => suite.name === arg)),
  };
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The fields read of `jest --json`. */
export interface JestResult {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numPendingTests: number;
  readonly numTodoTests: number;
  /** Files that could not even be loaded: none of their tests is counted anywhere else. */
  readonly numRuntimeErrorTestSuites: number;
}

/** Counts of one suite's result; a run without a result (jest itself died) is one failure. */
export function countsOf(result: JestResult | undefined): Counts {
  if (!result) return { passed: 0, failed: 1, skipped: 0 };
  return {
    passed: result.numPassedTests,
    failed: result.numFailedTests + result.numRuntimeErrorTestSuites,
    skipped: result.numPendingTests + result.numTodoTests,
  };
}

/** A suite that found no tests fails, unless the person's own filter left none of it. */
export function refuseEmpty(counts: Counts, request: Pick<TestRequest, 'jestArgs'>): Counts {
  const ran = counts.passed + counts.failed + counts.skipped;
  return ran === 0 && request.jestArgs.length === 0 ? { ...counts, failed: 1 } : counts;
}

export function sum(all: readonly Counts[]): Counts {
  const total = (field: keyof Counts): number => all.reduce((so, counts) => so + counts[field], 0);
  return { passed: total('passed'), failed: total('failed'), skipped: total('skipped') };
}

/** `12 passed, 0 failed, 0 skipped` */
export function summary({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

/** A run in which nothing was tested is no success. */
export function succeeded(counts: Counts): boolean {
  return counts.failed === 0 && counts.passed > 0;
}

/** `unit          41.2 s of 60 s   812 passed, 0 failed, 0 skipped`; at full size there is no budget. */
export function suiteLine(suite: Suite, counts: Counts, ms: number, full = false): string {
  const seconds = ms / 1000;
  const name = suite.name.padEnd(12);
  if (full) return `  ${name} ${seconds.toFixed(1).padStart(6)} s at full size   ${summary(counts)}`;
  const over = seconds > suite.budget ? '  (over its budget)' : '';
  return `  ${name} ${seconds.toFixed(1).padStart(6)} s of ${suite.budget} s   ${summary(counts)}${over}`;
}
