export { REASONS, type Decision, type Reason, type Verdict } from './decision.ts';
export { Decider, type DeciderOptions, type PodDecision } from './decider.ts';
export { imageSlots, namesOf, ALL_KINDS, type ImageKind, type ImageSlot } from './image-slots.ts';
export { isRecord } from './json-object.ts';
export { annotationKeys, podFacts, type PodFacts } from './pod-facts.ts';
export { patternFinder, patternMistake } from './re2-patterns.ts';
export { rulesFile, type RulesFile, type WrittenRules } from './rules-file.ts';
