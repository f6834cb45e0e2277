import { IMAGE_CASES } from './image-cases.ts';
import { NODE_CASES } from './node-cases.ts';
import type { RuleCase } from './one-case.ts';
import { OWNER_CASES } from './owner-cases.ts';
import { POD_CASES } from './pod-cases.ts';

export type { ExpectedImage, RuleCase } from './one-case.ts';

/** One table for whatever decides by the rules: what it has to answer. */
export const RULE_CASES: readonly RuleCase[] = [...IMAGE_CASES, ...POD_CASES, ...NODE_CASES, ...OWNER_CASES];
