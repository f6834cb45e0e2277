import { REQUEST_KINDS, SLOTS, type Fault, type Match, type RuleInput } from './rule.ts';

/** Why a text is no rule; one line for a person. */
export class InvalidRule extends Error {
  override readonly name = 'InvalidRule';
}

type FieldType = 'number' | 'string' | 'boolean' | 'strings' | 'map';
/** Fields of each fault; `!` marks what must be given. */
const FIELDS: Readonly<Record<Fault['do'], Readonly<Record<string, FieldType | `${FieldType}!`>>>> = {
  latency: { ms: 'number!' },
  answer: {
    status: 'number!',
    code: 'string',
    message: 'string',
    headers: 'map',
    body: 'string',
    contentType: 'string',
    retryAfter: 'number',
    retryAfterAsDate: 'boolean',
    challenge: 'string',
  },
  hang: {},
  reset: {},
  quota: { limit: 'number!', windowSeconds: 'number!', retryAfter: 'number' },
  gone: {},
  serve: { digest: 'string!' },
  redirect: { to: 'string', status: 'number' },
  headers: { set: 'map', remove: 'strings' },
  'ignore-range': {},
  cut: { atByte: 'number!' },
  stall: { afterBytes: 'number!' },
  hold: { afterBytes: 'number!' },
  drip: { bytesPerSecond: 'number!' },
  flip: { atByte: 'number' },
  chunked: {},
};
const KINDS: readonly string[] = [...REQUEST_KINDS, 'manifest'];

/** Reads a rule that came as JSON. Throws InvalidRule, which names the field. */
export function parseRule(value: unknown): RuleInput {
  const rule = objectAt(value, 'rule', ['host', 'match', 'fault', 'times', 'after']);
  checkField(rule, 'host', 'string!', 'rule');
  checkField(rule, 'times', 'number', 'rule');
  checkField(rule, 'after', 'number', 'rule');
  if (rule['match'] !== undefined) parseMatch(rule['match']);
  const name = objectAt(rule['fault'], 'rule.fault')['do'];
  if (typeof name !== 'string' || !Object.hasOwn(SLOTS, name)) {
    throw new InvalidRule(`rule.fault.do must be one of ${Object.keys(SLOTS).join(', ')}`);
  }
  const fields = FIELDS[name as Fault['do']];
  const fault = objectAt(rule['fault'], 'rule.fault', ['do', ...Object.keys(fields)]);
  for (const [field, type] of Object.entries(fields)) checkField(fault, field, type, `rule.fault (${name})`);
  if (fault['bytesPerSecond'] === 0)
    throw new InvalidRule('rule.fault (drip).bytesPerSecond must be more than 0: use stall or hang');
  return value as RuleInput;
}

function parseMatch(value: unknown): Match {
  const match = objectAt(value, 'rule.match', ['kind', 'method', 'repository', 'reference']);
  for (const field of ['kind', 'method']) {
    if (!Array.isArray(match[field])) checkField(match, field, 'string', 'rule.match');
    else checkField(match, field, 'strings', 'rule.match');
  }
  for (const field of ['repository', 'reference']) checkField(match, field, 'string', 'rule.match');
  for (const kind of [match['kind'] ?? []].flat()) {
    if (!KINDS.includes(kind as string)) throw new InvalidRule(`rule.match.kind must be of ${KINDS.join(', ')}`);
  }
  return match;
}

function objectAt(value: unknown, where: string, known?: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new InvalidRule(`${where} must be an object`);
  const unknown = known === undefined ? undefined : Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new InvalidRule(`${where}.${unknown} is unknown; known are ${known!.join(', ')}`);
  return value as Record<string, unknown>;
}

function checkField(
  holder: Record<string, unknown>,
  field: string,
  type: FieldType | `${FieldType}!`,
  where: string,
): void {
  const value = holder[field];
  const required = type.endsWith('!');
  if (value === undefined && !required) return;
  const bare = type.replace('!', '') as FieldType;
  if (!IS[bare](value)) throw new InvalidRule(`${where}.${field} must be ${WORDS[bare]}`);
}

const isText = (value: unknown): boolean => typeof value === 'string';
const IS: Readonly<Record<FieldType, (value: unknown) => boolean>> = {
  number: (value) => typeof value === 'number' && Number.isFinite(value) && value >= 0,
  string: isText,
  boolean: (value) => typeof value === 'boolean',
  strings: (value) => Array.isArray(value) && value.every(isText),
  map: (value) => typeof value === 'object' && value !== null && Object.values(value).every(isText),
};
const WORDS: Readonly<Record<FieldType, string>> = {
  number: 'a number, 0 or more',
  string: 'a string',
  boolean: 'true or false',
  strings: 'a list of strings',
  map: 'an object of strings',
};
