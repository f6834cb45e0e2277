export { RULE_CASES, type ExpectedImage, type RuleCase } from './rule-cases.ts';
