import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { DEFAULTS } from '@kuik/contracts';
import {
  ACCESS_REASONS,
  type AccessFacts,
  type AccessRules,
  accessVerdict,
  type Asked,
  isGranted,
  isRefused,
} from './access-verdict.ts';
import { NOW } from './testing/objects.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const RULES: AccessRules = {
  publicForMs: HOUR,
  verdictForMs: 10 * MINUTE,
  graceMs: 5 * HOUR,
  unknownWhenDown: 'deny',
};
const NOTHING: AccessFacts = { used: true, granted: false, named: true, public: {}, cluster: {}, own: {} };
const ago = (ms: number): number => NOW - ms;

type Change = Partial<AccessFacts>;
const judge = (change: Change, asked: Asked = 'not yet', rules: Partial<AccessRules> = {}): string => {
  const verdict = accessVerdict({ ...NOTHING, ...change }, { ...RULES, ...rules }, NOW, asked);
  if (verdict === 'ask') return 'ask';
  const { verdict: word, reason, public: isPublic, until } = verdict;
  return `${word} ${reason}${isPublic ? ' public' : ''} ${(until - NOW) / 1000}s`;
};

describe('accessVerdict', () => {
  it.each<[string, Change, Asked, string]>([
    ['nobody uses it', { used: false, granted: true, public: { proven: NOW } }, 'not yet', 'denied NotUsed 10s'],
    ['the operator granted it', { granted: true, own: { refused: NOW } }, 'not yet', 'allowed GrantedByOperator 600s'],
    ['nothing is known', {}, 'not yet', 'ask'],
    ['anyone may read it', { public: { proven: ago(MINUTE) } }, 'not yet', 'allowed Public public 3540s'],
    ['the cluster may', { cluster: { proven: ago(MINUTE) } }, 'not yet', 'allowed ClusterCredential 540s'],
    ['its own credential may', { own: { proven: ago(MINUTE) } }, 'not yet', 'allowed CredentialProven 540s'],
    ['the public time is over', { public: { proven: ago(HOUR) } }, 'not yet', 'ask'],
    ['the verdict is over', { own: { proven: ago(10 * MINUTE) } }, 'not yet', 'ask'],
    ['it was made private since', { public: { proven: ago(MINUTE), refused: NOW } }, 'not yet', 'ask'],
    ['it was revoked', { own: { proven: ago(MINUTE), refused: NOW } }, 'answered', 'denied CredentialRefused 10s'],
    [
      'all was refused just now',
      { public: { refused: NOW }, cluster: { refused: NOW }, own: { refused: ago(9_000) } },
      'not yet',
      'denied CredentialRefused 10s',
    ],
    [
      'all was refused a while ago',
      { public: { refused: NOW }, cluster: { refused: NOW }, own: { refused: ago(10_000) } },
      'not yet',
      'ask',
    ],
    ['upstream refuses', {}, 'answered', 'denied CredentialRefused 10s'],
    ['upstream is down, within the grace', { own: { proven: ago(HOUR) } }, 'down', 'allowed Grace 60s'],
    [
      'the grace ends in a moment',
      { own: { proven: ago(5 * HOUR + 10 * MINUTE - 2_000) } },
      'down',
      'allowed Grace 2s',
    ],
    ['the grace is over', { own: { proven: ago(5 * HOUR + 10 * MINUTE) } }, 'down', 'unknown UpstreamDown 5s'],
    [
      'upstream is down, it was public',
      { named: false, public: { proven: ago(2 * HOUR) } },
      'down',
      'allowed Grace public 60s',
    ],
    [
      'upstream is down, revoked before',
      { own: { proven: ago(HOUR), refused: ago(MINUTE) } },
      'down',
      'unknown UpstreamDown 5s',
    ],
    ['upstream is down, nothing known', {}, 'down', 'unknown UpstreamDown 5s'],
    ['nobody is named, asked', { named: false, own: { proven: NOW } }, 'answered', 'denied NoGrant 10s'],
    ['nobody is named, not asked', { named: false, own: { proven: NOW } }, 'not yet', 'ask'],
    [
      'nobody is named, refused just now',
      { named: false, public: { refused: NOW }, cluster: { refused: NOW } },
      'not yet',
      'denied NoGrant 10s',
    ],
  ])('%s', (_what, change, asked, expected) => expect(judge(change, asked)).toBe(expected));

  it('lets the unknown through when told so, for as long as upstream is down', () => {
    expect(judge({}, 'down', { unknownWhenDown: 'allow' })).toBe('allowed UnknownAllowed 5s');
    expect(judge({}, 'answered', { unknownWhenDown: 'allow' })).toBe('denied CredentialRefused 10s');
  });
});

it.each<[string[] | undefined, boolean]>([
  [undefined, false],
  [['ghcr.io/acme/api'], true],
  [['ghcr.io/acme'], false],
  [['quay.io/*', 'ghcr.io/acme/*'], true],
  [['ghcr.io/acme/apis*'], false],
  [['*'], true],
])('isGranted(%j)', (patterns, expected) => expect(isGranted(patterns, 'ghcr.io/acme/api')).toBe(expected));

it('takes a refusal for one only until the next proof', () => {
  expect(isRefused({ refused: NOW, proven: NOW + 1 }, NOW + 2)).toBe(false);
});

describe('the table of verdicts in docs/private-images.md', () => {
  const text = readFileSync(new URL('../../../docs/private-images.md', import.meta.url), 'utf8');
  const rows = [...text.split('## Verdicts')[1]!.matchAll(/^\| (`[A-Z].+?) +\| (.+?) +\| (.+?) +\|$/gm)].map(
    ([, reason, verdict, holdsFor]) => ({ reason: reason!, verdict: verdict!, holdsFor: holdsFor! }),
  );

  it('has each reason, and no other', () => {
    const named = rows.flatMap(({ reason, verdict }) => [
      ...`${reason.split(':')[0]} ${verdict}`.matchAll(/`([A-Z][A-Za-z]+)`/g),
    ]);
    expect(named.map(([, name]) => name).toSorted()).toEqual(Object.values(ACCESS_REASONS).toSorted());
  });

  it.each<[string, Change, Asked, string]>([
    ['NotUsed', { used: false }, 'not yet', 'denied 10 s'],
    ['GrantedByOperator', { granted: true }, 'not yet', 'allowed verdictFor'],
    ['Public', { public: { proven: NOW } }, 'not yet', 'allowed publicFor'],
    ['ClusterCredential', { cluster: { proven: NOW } }, 'not yet', 'allowed verdictFor'],
    ['CredentialProven', { own: { proven: NOW } }, 'not yet', 'allowed verdictFor'],
    ['UpstreamDown', {}, 'down', 'unknown 5 s'],
    ['CredentialRefused', {}, 'answered', 'denied 10 s'],
  ])('says of %s what is done', (reason, change, asked, expected) => {
    const { publicForMs, verdictForMs, graceMs, unknownWhenDown } = DEFAULTS.privateImages;
    const seconds = { [publicForMs / 1000]: 'publicFor', [verdictForMs / 1000]: 'verdictFor' };
    const done = judge(change, asked, { publicForMs, verdictForMs, graceMs, unknownWhenDown });
    const [verdict] = done.split(' ');
    const held = /(\d+)s$/.exec(done)![1]!;
    expect(`${verdict} ${seconds[Number(held)] ?? `${held} s`}`).toBe(expected);
    const row = rows.find((one) => one.reason.includes(`\`${reason}\``))!;
    const told = `${row.verdict.split(',')[0]} ${row.holdsFor.replace(/ \(.*/, '')}`.replaceAll('`', '');
    expect(told).toBe(expected.replace('unknown', 'unknownWhenDown: deny'));
  });
});
