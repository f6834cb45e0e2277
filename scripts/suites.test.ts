import { describe, expect, it } from '@jest/globals';
import { countsOf, readRequest, refuseEmpty, succeeded, suiteLine, sum, summary, SUITES } from './suites.ts';

const RESULT = {
  numPassedTests: 5,
  numFailedTests: 1,
  numPendingTests: 2,
  numTodoTests: 1,
  numRuntimeErrorTestSuites: 0,
};

describe('readRequest', () => {
  it.each([
    [[], ['unit', 'integration', 'stories'], false, []],
    [['--full'], ['unit', 'integration', 'stories'], true, []],
    [['unit'], ['unit'], false, []],
    [['stories', 'unit', '--full'], ['unit', 'stories'], true, []],
    [['unit', 'packages/image', '-t', 'digest'], ['unit'], false, ['packages/image', '-t', 'digest']],
  ])('%j', (args, suites, full, jestArgs) => {
    const request = readRequest(args);
    expect(request.suites.map((suite) => suite.name)).toEqual(suites);
    expect(request.full).toBe(full);
    expect(request.jestArgs).toEqual(jestArgs);
  });
});

describe('the count', () => {
  it('is the runners’ own', () => {
    expect(countsOf(RESULT)).toEqual({ passed: 5, failed: 1, skipped: 3 });
  });

  it('counts a file that could not be loaded, and a run that died, as failures', () => {
    expect(countsOf({ ...RESULT, numRuntimeErrorTestSuites: 2 }).failed).toBe(3);
    expect(countsOf(undefined)).toEqual({ passed: 0, failed: 1, skipped: 0 });
  });

  it('adds up, and says so in one line', () => {
    const all = sum([countsOf(RESULT), { passed: 10, failed: 0, skipped: 0 }]);
    expect(summary(all)).toBe('15 passed, 1 failed, 3 skipped');
  });

  it.each([
    [{ passed: 1, failed: 0, skipped: 0 }, true],
    [{ passed: 1, failed: 0, skipped: 5 }, true],
    [{ passed: 1, failed: 1, skipped: 0 }, false],
    [{ passed: 0, failed: 0, skipped: 0 }, false],
    [{ passed: 0, failed: 0, skipped: 9 }, false],
  ])('%j is a success: %s', (counts, success) => {
    expect(succeeded(counts)).toBe(success);
  });

  it('makes an empty suite a failure, but not one that a filter emptied', () => {
    const empty = { passed: 0, failed: 0, skipped: 0 };
    expect(refuseEmpty(empty, { jestArgs: [] }).failed).toBe(1);
    expect(refuseEmpty(empty, { jestArgs: ['packages/image'] })).toEqual(empty);
    expect(refuseEmpty({ ...empty, passed: 1 }, { jestArgs: [] }).failed).toBe(0);
  });

  it('shows a suite’s time beside its budget', () => {
    const counts = { passed: 1, failed: 0, skipped: 0 };
    expect(suiteLine(SUITES[0]!, counts, 41_250)).toBe(
      '  unit           41.3 s of 60 s   1 passed, 0 failed, 0 skipped',
    );
    expect(suiteLine(SUITES[0]!, counts, 61_000)).toContain('over its budget');
    expect(suiteLine(SUITES[0]!, counts, 61_000, true)).toBe(
      '  unit           61.0 s at full size   1 passed, 0 failed, 0 skipped',
    );
  });
});
