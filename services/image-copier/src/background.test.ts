import { expect, it } from '@jest/globals';
import { isBackground } from './background.ts';

it.each([
  ['NotCached', false],
  ['Forced', false],
  ['ContentMissing', false],
  ['Retry', false],
  ['UpdateDue', true],
  ['TagMoved', true],
  ['PlatformsChanged', true],
])('a copy because of %s may wait: %s', (reason, background) => {
  expect(isBackground({ reason })).toBe(background);
});
