import { describe, expect, it } from '@jest/globals';
import { cachedImageStatus } from '@kuik/contracts';
import { type Facts, factsOf, type FactsInput, recordedFacts, withFacts } from './facts.ts';
import { at, cachedImage, cacheStanza, DAY, NOW, UID, upstreamStanza } from './testing/objects.ts';
import { COMPLETE, type HolderKnowledge } from './knowledge.ts';
import type { Holder } from './usage.ts';

const UNUSED_MS = 30 * DAY;
const holder = (kind: string, name: string): Holder => ({
  kind,
  namespace: 'shop',
  name,
  pullSecrets: [`${name}-cred`, 'shared'],
});
const holders = (...names: string[]): Map<string, Holder> =>
  new Map(names.map((name) => [`pods shop/${name}`, holder('Pod', name)]));
const input = (change: Partial<FactsInput> = {}): FactsInput => ({
  holders: new Map(),
  knowledge: COMPLETE,
  unusedMs: UNUSED_MS,
  now: NOW,
  ...change,
});
const having = (facts: Facts, spec = {}) => cachedImage({ spec, status: facts });
const none = { forUid: UID, count: 0, pods: [], holders: [] };

describe('factsOf', () => {
  it('shows who uses an image, and whose secrets open it', () => {
    expect(factsOf(cachedImage(), input({ holders: holders('web', 'api') }))).toEqual({
      usedBy: {
        forUid: UID,
        count: 2,
        pods: [{ namespacedName: 'shop/api' }, { namespacedName: 'shop/web' }],
        holders: [
          { kind: 'Pod', name: 'shop/api' },
          { kind: 'Pod', name: 'shop/web' },
        ],
      },
      pullSecrets: ['api-cred', 'shared', 'web-cred'].map((name) => ({ namespace: 'shop', name })),
    });
  });

  it('shows the first twenty by name, and counts all', () => {
    const names = Array.from({ length: 30 }, (_, index) => `p${String(index).padStart(2, '0')}`);
    const { usedBy } = factsOf(cachedImage(), input({ holders: holders(...names.reverse()) }));
    const first = names
      .sort()
      .slice(0, 20)
      .map((name) => `shop/${name}`);
    expect(usedBy?.count).toBe(30);
    expect(usedBy?.pods?.map(({ namespacedName }) => namespacedName)).toEqual(first);
    expect(usedBy?.holders).toEqual(first.map((name) => ({ kind: 'Pod', name })));
  });

  it('counts the time from when it was first seen unused, and keeps that', () => {
    const first = factsOf(cachedImage(), input());
    expect(first).toEqual({ usedBy: none, unusedSince: at(0), expiresAt: at(UNUSED_MS) });
    expect(factsOf(having(first), input({ now: NOW + DAY }))).toEqual(first);
  });

  it('forgets expiry when somebody comes, keeps the secrets when they leave', () => {
    const unused = having(factsOf(cachedImage(), input()));
    const used = factsOf(unused, input({ holders: holders('web') }));
    expect(used).not.toHaveProperty('expiresAt');
    expect(used).not.toHaveProperty('unusedSince');
    expect(factsOf(having(used), input({ now: NOW + DAY }))).toMatchObject({
      unusedSince: at(DAY),
      pullSecrets: [
        { namespace: 'shop', name: 'shared' },
        { namespace: 'shop', name: 'web-cred' },
      ],
    });
  });

  it('shows workloads before pods, and of pods what kuik v1 showed', () => {
    const held = holders('web-1', 'web-2').set('deployments shop/web', holder('Deployment', 'web'));
    expect(factsOf(cachedImage(), input({ holders: held })).usedBy).toMatchObject({
      count: 3,
      pods: [{ namespacedName: 'shop/web-1' }, { namespacedName: 'shop/web-2' }],
      holders: [
        { kind: 'Deployment', name: 'shop/web' },
        { kind: 'Pod', name: 'shop/web-1' },
        { kind: 'Pod', name: 'shop/web-2' },
      ],
    });
  });

  const pending: HolderKnowledge = { state: 'pending', unread: ['deployments'] };
  const partial: HolderKnowledge = { state: 'partial', unread: ['Rollout.argoproj.io'] };
  const used = factsOf(cachedImage(), input({ holders: holders('web') }));
  const idle = factsOf(cachedImage(), input());
  const blind = factsOf(cachedImage(), input({ knowledge: partial }));
  it.each<[string, HolderKnowledge, Facts, string[], Facts]>([
    ['lists are on their way: a holder that is not seen is still there', pending, used, [], used],
    ['lists are on their way: who is seen beside is told later', pending, used, ['web', 'api'], used],
    ['lists are on their way: the time unused goes on', pending, idle, [], idle],
    ['lists are on their way: somebody came', pending, idle, ['web'], used],
    ['lists are on their way: nothing is said of what is new', pending, {}, [], {}],
    ['something may not be read: who is seen holds it', partial, idle, ['web'], used],
    ['something may not be read: the time unused does not begin', partial, {}, [], blind],
    ['something may not be read: the time unused goes on', partial, idle, [], { ...idle, usedBy: blind.usedBy! }],
    ['everything can be read again', COMPLETE, blind, [], idle],
  ])('%s', (_name, knowledge, before, names, after) => {
    expect(factsOf(having(before), input({ knowledge, holders: holders(...names) }))).toEqual(after);
  });

  it('names what may not be read when nobody else holds the image', () => {
    expect(blind).toEqual({ usedBy: { ...none, unread: ['Rollout.argoproj.io'] } });
    expect(cachedImageStatus.parse(blind)).toEqual(blind);
  });

  it('a clock that jumps and comes back makes no date earlier', () => {
    const ahead = factsOf(having(idle), input({ now: NOW + 120 * DAY }));
    expect(ahead).toEqual(idle);
    expect(factsOf(having(ahead), input({ now: NOW - 120 * DAY }))).toEqual(idle);
    const then = factsOf(cachedImage(), input({ now: NOW + 120 * DAY }));
    expect(then.expiresAt).toBe(at(120 * DAY + UNUSED_MS));
  });

  it.each<[string, Parameters<typeof cachedImage>[0]]>([
    ['its creation', { metadata: { creationTimestamp: at(0) } }],
    ['its copy', { status: { ...used, cache: cacheStanza({ copiedAt: at(0) }) } }],
    ['its last pull', { status: { ...used, lastPulled: at(0) } }],
    ['what the monitor saw', { status: { ...used, upstream: upstreamStanza({ lastSeen: at(0) }) } }],
  ])('a clock that is behind when the last holder goes takes no time from an image: not before %s', (_what, change) => {
    const facts = factsOf(cachedImage(change), input({ now: NOW - 120 * DAY }));
    expect(facts).toMatchObject({ unusedSince: at(0), expiresAt: at(UNUSED_MS) });
    expect(factsOf(cachedImage(change), input({ now: NOW + DAY })).unusedSince).toBe(at(DAY));
  });

  it.each([
    ["a person's date wins", { expiresAt: '2027-01-01T00:00:00Z' }, '2027-01-01T00:00:00Z'],
    ['a retained image does not expire', { retain: true, expiresAt: '2027-01-01T00:00:00Z' }, undefined],
  ])('%s', (_name, spec, expiresAt) => {
    expect(factsOf(cachedImage({ spec }), input()).expiresAt).toBe(expiresAt);
    expect(factsOf(cachedImage({ spec }), input({ holders: holders('web') }))).not.toHaveProperty('expiresAt');
  });

  it('begins the time unused anew when a person retains it no longer: it was kept meanwhile', () => {
    const retained = factsOf(having(factsOf(cachedImage(), input()), { retain: true }), input({ now: NOW + DAY }));
    expect(retained).toEqual({ usedBy: none, unusedSince: at(0) });
    const after = factsOf(having(retained), input({ now: NOW + 90 * DAY }));
    expect(after).toEqual({ usedBy: none, unusedSince: at(90 * DAY), expiresAt: at(90 * DAY + UNUSED_MS) });
    expect(factsOf(having(after), input({ now: NOW + 91 * DAY }))).toEqual(after);
    const wished = { expiresAt: at(DAY) };
    expect(factsOf(having(retained, wished), input({ now: NOW + 90 * DAY })).expiresAt).toBe(at(DAY));
  });

  it.each<[string, string, number, number]>([
    ['taken off long after', at(400 * DAY), 90, 90],
    ['taken off while the time unused goes on', at(400 * DAY), 1, 0],
    ['an earlier one', at(DAY / 2), 90, 0],
    ['gone by itself', at(UNUSED_MS), 90, 0],
  ])("a person's date: %s", (_name, date, days, unusedSince) => {
    const dated = factsOf(having(factsOf(cachedImage(), input()), { expiresAt: date }), input());
    expect(dated.expiresAt).toBe(date);
    const after = factsOf(having(dated), input({ now: NOW + days * DAY }));
    expect(after).toMatchObject({ unusedSince: at(unusedSince * DAY), expiresAt: at(unusedSince * DAY + UNUSED_MS) });
    expect(factsOf(having(after), input({ now: NOW + (days + 1) * DAY }))).toEqual(after);
  });

  it.each([
    ['the first pull', undefined, 0, 0],
    ['a pull within the day', 0, DAY - 1, 0],
    ['a pull a day later', 0, DAY, DAY],
  ])('moves the last pull at most once a day: %s', (_name, recorded, told, shown) => {
    const facts = { usedBy: none, ...(recorded === undefined ? {} : { lastPulled: at(recorded) }) };
    expect(factsOf(having(facts), input({ lastPulled: NOW + told })).lastPulled).toBe(at(shown));
  });

  it('takes nothing from the facts of an object of the same name that is gone', () => {
    const old = { usedBy: { ...none, forUid: 'uid-0' }, unusedSince: at(-DAY), lastPulled: at(-DAY) };
    expect(factsOf(having(old), input())).toMatchObject({ unusedSince: at(0), usedBy: { forUid: UID } });
    expect(recordedFacts(having(old))).toEqual({});
  });

  it('is what a resource can hold, and reads back as it was written', () => {
    const facts = factsOf(cachedImage(), input({ holders: holders('web'), lastPulled: NOW }));
    expect(cachedImageStatus.parse(facts)).toEqual(facts);
    expect(recordedFacts(having(facts))).toEqual(facts);
  });
});

describe('withFacts', () => {
  it('puts new facts in the place of all old ones, and leaves the rest', () => {
    const before = cachedImage({ status: { unusedSince: at(0), expiresAt: at(DAY), phase: 'Ready' } });
    expect(withFacts(before, { usedBy: none }).status).toEqual({ usedBy: none, phase: 'Ready' });
    expect(before.status?.expiresAt).toBe(at(DAY));
  });
});
