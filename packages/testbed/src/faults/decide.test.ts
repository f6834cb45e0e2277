import { describe, expect, it } from '@jest/globals';
import { decide, globMatches, matches, type RequestFacts } from './decide.ts';
import { RuleBook } from './rule-book.ts';
import { SLOTS, type Fault, type Match, type RuleInput, type RuleState } from './rule.ts';

const GET_BLOB: RequestFacts = {
  host: 'docker.io',
  kind: 'blob',
  method: 'GET',
  repository: 'library/nginx',
  reference: 'sha256:aa',
};
const GET_TAG: RequestFacts = { ...GET_BLOB, kind: 'manifest-tag', reference: '1.27' };

/** Rules r1, r2.. in order of age. */
const rules = (...inputs: (Partial<RuleInput> & { seen?: number; applied?: number })[]): RuleState[] =>
  inputs.map(({ seen = 0, applied = 0, ...input }, place) => ({
    rule: { id: `r${place + 1}`, host: '*', fault: { do: 'hang' }, ...input },
    seen,
    applied,
  }));

const CUT: Fault = { do: 'cut', atByte: 10 };
const STALL: Fault = { do: 'stall', afterBytes: 20 };

describe('which faults meet a request', () => {
  it.each<{
    what: string;
    rules: RuleState[];
    request?: Partial<RequestFacts>;
    stage?: 'arrival' | 'content';
    applied: string[];
  }>([
    { what: 'none without rules', rules: [], applied: [] },
    { what: 'a rule for all hosts', rules: rules({ fault: CUT }), applied: ['r1'] },
    { what: 'a rule for this host', rules: rules({ host: 'docker.io', fault: CUT }), applied: ['r1'] },
    { what: 'not a rule for another host', rules: rules({ host: 'quay.io', fault: CUT }), applied: [] },
    {
      what: 'the newest of a slot, the older one is left alone',
      rules: rules({ fault: CUT }, { fault: STALL }),
      applied: ['r2'],
    },
    {
      what: 'the older one when the newer is used up',
      rules: rules({ fault: CUT }, { fault: STALL, times: 2, applied: 2 }),
      applied: ['r1'],
    },
    {
      what: 'the newer one while it has times left',
      rules: rules({ fault: CUT }, { fault: STALL, times: 2, applied: 1 }),
      applied: ['r2'],
    },
    {
      what: 'the older one until `after` have passed',
      rules: rules({ fault: CUT }, { fault: STALL, after: 2, seen: 1 }),
      applied: ['r1'],
    },
    {
      what: 'the newer one once `after` have passed',
      rules: rules({ fault: CUT }, { fault: STALL, after: 2, seen: 2 }),
      applied: ['r2'],
    },
    {
      what: 'one of each slot',
      rules: rules({ fault: CUT }, { fault: { do: 'flip' } }, { fault: { do: 'chunked' } }),
      applied: ['r3', 'r2', 'r1'],
    },
    { what: 'no content fault on arrival', rules: rules({ fault: CUT }), stage: 'arrival', applied: [] },
    { what: 'no arrival fault with the content', rules: rules({ fault: { do: 'hang' } }), applied: [] },
    {
      what: 'arrival faults on arrival',
      rules: rules({ fault: { do: 'latency', ms: 1 } }, { fault: { do: 'hang' } }),
      stage: 'arrival',
      applied: ['r2', 'r1'],
    },
    {
      what: 'no body fault for a HEAD',
      rules: rules({ fault: CUT }, { fault: { do: 'headers', remove: ['x'] } }),
      request: { method: 'HEAD' },
      applied: ['r2'],
    },
    {
      what: 'every header rule',
      rules: rules({ fault: { do: 'headers' } }, { fault: { do: 'headers' } }),
      applied: ['r2', 'r1'],
    },
    { what: 'no quota for a blob', rules: rules({ fault: { do: 'quota', limit: 1, windowSeconds: 1 } }), applied: [] },
    {
      what: 'a quota counts a GET of a manifest',
      rules: rules({ fault: { do: 'quota', limit: 1, windowSeconds: 1 } }),
      request: GET_TAG,
      applied: ['r1'],
    },
    {
      what: 'a quota does not count a HEAD',
      rules: rules({ fault: { do: 'quota', limit: 1, windowSeconds: 1 } }),
      request: { ...GET_TAG, method: 'HEAD' },
      applied: [],
    },
  ])('$what', ({ rules: states, request, stage = 'content', applied }) => {
    expect(decide(states, { ...GET_BLOB, ...request }, stage).applied).toEqual(applied);
  });

  it('a rule that waits for `after` is counted as seen', () => {
    const verdict = decide(rules({ fault: CUT, after: 1 }), GET_BLOB, 'content');
    expect(verdict).toMatchObject({ seen: ['r1'], applied: [], slots: {} });
  });

  it('a rule whose slot is taken is not even seen', () => {
    expect(decide(rules({ fault: CUT, after: 1 }, { fault: STALL }), GET_BLOB, 'content').seen).toEqual(['r2']);
  });

  it('header rules come oldest first, so that the newest has the last word', () => {
    const set = (x: string): Partial<RuleInput> => ({ fault: { do: 'headers', set: { x } } });
    expect(decide(rules(set('old'), set('new')), GET_BLOB, 'content').headers.map(({ set }) => set?.['x'])).toEqual([
      'old',
      'new',
    ]);
  });

  it('a quota tells what was spent, also to a HEAD', () => {
    const states = rules({ fault: { do: 'quota', limit: 5, windowSeconds: 1 }, applied: 3 });
    for (const method of ['GET', 'HEAD']) {
      expect(decide(states, { ...GET_TAG, method }, 'content')).toMatchObject({
        quotaSpent: 3,
        slots: { quota: { limit: 5 } },
      });
    }
  });

  it('every fault has a slot and a stage', () => {
    expect(
      Object.values(SLOTS).every(({ slot, stage }) => slot.length > 0 && ['arrival', 'content'].includes(stage)),
    ).toBe(true);
  });
});

describe('matching', () => {
  it.each<[Match, RequestFacts, boolean]>([
    [{}, GET_BLOB, true],
    [{ kind: 'blob' }, GET_BLOB, true],
    [{ kind: 'manifest' }, GET_BLOB, false],
    [{ kind: 'manifest' }, GET_TAG, true],
    [{ kind: 'manifest-digest' }, GET_TAG, false],
    [{ kind: ['tags', 'blob'] }, GET_BLOB, true],
    [{ method: 'get' }, GET_BLOB, true],
    [{ method: ['HEAD', 'PUT'] }, GET_BLOB, false],
    [{ repository: 'library/*' }, GET_BLOB, true],
    [{ repository: 'library' }, GET_BLOB, false],
    [{ repository: '*' }, { host: 'docker.io', kind: 'ping', method: 'GET' }, true],
    [{ repository: 'library/*' }, { host: 'docker.io', kind: 'ping', method: 'GET' }, false],
    [{ reference: '1.*' }, GET_TAG, true],
    [{ reference: 'latest' }, GET_TAG, false],
  ])('%j of %j is %p', (match, request, expected) => {
    expect(matches(match, request)).toBe(expected);
  });

  it.each([
    ['a.b', 'a.b', true],
    ['a.b', 'axb', false],
    ['*', '', true],
    ['team/*', 'team/a/b', true],
    ['team/*', 'teams/a', false],
    ['*/app', 'a/b/app', true],
    ['a*c', 'a\nc', true],
  ])('glob %s over %j is %p', (glob, text, expected) => {
    expect(globMatches(glob, text)).toBe(expected);
  });
});

describe('the rule book', () => {
  it('counts, so that `after(1)` and `times(2)` apply to the second and third request', () => {
    const book = new RuleBook();
    const { id } = book.add({ host: 'docker.io', fault: CUT, after: 1, times: 2 });
    const applied = Array.from({ length: 5 }, () => book.take(GET_BLOB, 'content').applied.length);
    expect(applied).toEqual([0, 1, 1, 0, 0]);
    expect(book.get(id)).toMatchObject({ applied: 2 });
  });

  it('removes by id, by host, and all', () => {
    const book = new RuleBook();
    const first = book.add({ host: 'a.test', fault: CUT });
    book.add({ host: 'b.test', fault: CUT });
    book.add({ host: 'c.test', fault: CUT });
    expect([book.remove(first.id), book.remove(first.id)]).toEqual([true, false]);
    book.clear('b.test');
    expect(book.states().map(({ rule }) => rule.host)).toEqual(['c.test']);
    book.clear();
    expect(book.states()).toEqual([]);
  });

  it('never gives an id twice', () => {
    const book = new RuleBook();
    const first = book.add({ host: 'a.test', fault: CUT });
    book.clear();
    expect(book.add({ host: 'a.test', fault: CUT }).id).not.toBe(first.id);
    expect(book.change(first.id, { times: 1 })).toBe(false);
  });
});
