import { existsSync } from 'node:fs';
import path from 'node:path';
import { expect, it } from '@jest/globals';
import { SLOW_FILES } from './slow-files.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '../../..');

it('names each file once, and none that is gone', () => {
  expect(SLOW_FILES.filter((file) => !existsSync(path.join(CHECKOUT, file)))).toEqual([]);
  expect(new Set(SLOW_FILES).size).toBe(SLOW_FILES.length);
});
