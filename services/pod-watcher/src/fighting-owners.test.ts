import { describe, expect, it } from '@jest/globals';
import { type Fight, FightingOwners } from './fighting-owners.ts';
import type { PodOwner, PodView } from './pod-view.ts';
import { NOW, podView } from './testing/objects.ts';

const FROM = 'quay.io/acme/db:1';
const TO = 'localhost:7439/quay.io/acme/db:1';
const CLUSTER: PodOwner = { apiVersion: 'postgresql.cnpg.io/v1', kind: 'Cluster', name: 'db', uid: 'uid-db' };
const SET: PodOwner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'db', uid: 'uid-set' };

/** How pods of a story differ from a rewritten one of the Cluster. */
type Pods = (name: string) => Partial<PodView>;

/** A cluster of which a test tells what happens, in seconds. */
function story(pods: Pods = () => ({}), fighting = new FightingOwners({ pods: 3, withinMs: 120_000 })) {
  const there = new Map<string, PodView>();
  const see = (second: number, name: string, after: PodView | undefined): Fight | undefined => {
    const before = there.get(name);
    if (after === undefined) there.delete(name);
    else there.set(name, after);
    return fighting.see(before, after, NOW + second * 1_000);
  };
  const made = (second: number, name: string): PodView =>
    podView({
      name,
      uid: `uid-${name}`,
      images: [{ key: 'c:db', image: TO }],
      originals: { 'c:db': FROM },
      owner: CLUSTER,
      createdAt: NOW + second * 1_000,
      ...pods(name),
    });
  return {
    fighting,
    /** `0 +a` made, `1 ~a` being deleted, `2 -a` gone, `3 =a` seen again; returns after which of these a fight was found. */
    tell(...events: string[]): string[] {
      return events.filter((event) => {
        const [, second = '', what = '', name = ''] = /^(\d+) ([-+~=])(.+)$/.exec(event) ?? [];
        const at = Number(second);
        if (what === '-') return see(at, name, undefined);
        const pod = there.get(name);
        if (what === '+') return see(at, name, made(at, name));
        return see(at, name, { ...pod!, deleting: what === '~' || pod!.deleting });
      });
    },
    see,
    made,
  };
}

const each =
  (...names: string[]) =>
  (sign: string, second: number): string[] =>
    names.map((name) => `${second} ${sign}${name}`);
/** Containers of these names, rewritten. */
const rewritten = (names: string[]): Partial<PodView> => ({
  images: names.map((name) => ({ key: `c:${name}`, image: TO })),
  originals: Object.fromEntries(names.map((name) => [`c:${name}`, FROM])),
});
const ten = each(...'abcdefghij');
const tenMore = each(...'klmnopqrst');
const tenLast = each(...'uvwxyz1234');

describe('an operator that deletes its pods because of their images', () => {
  it.each<[string, string[], string[]]>([
    ['its third pod is the last that is rewritten', ['0 +a', '1 -a', '2 +b', '3 -b', '4 +c', '5 -c'], ['4 +c']],
    ['pods that take their time to end', ['0 +a', '1 ~a', '9 -a', '9 +b', '10 ~b', '15 +c', '19 -b'], ['15 +c']],
    ['a pod is made before the old one has gone', ['0 +a', '1 ~a', '1 +b', '2 ~b', '2 +c'], ['2 +c']],
    ['all within one second', ['0 +a', '0 -a', '0 +b', '0 -b', '0 +c'], ['0 +c']],
    ['slowly, just fast enough', ['0 +a', '59 -a', '60 +b', '119 -b', '120 +c'], ['120 +c']],
    ['too slowly', ['0 +a', '59 -a', '60 +b', '119 -b', '121 +c', '122 -c'], []],
    ['too slowly at first', ['0 +a', '60 -a', '61 +b', '130 -b', '131 +c', '132 -c', '133 +d'], ['133 +d']],
    ['once', ['0 +a', '1 -a', '2 +b', '9 =b'], []],
    [
      'and again after it was found',
      ['0 +a', '1 -a', '2 +b', '3 -b', '4 +c', '5 -c', '6 +d', '7 -d', '8 +e'],
      ['4 +c', '8 +e'],
    ],
    ['of two at a time', ['0 +a', '0 +b', '1 -a', '1 -b', '2 +c', '2 +d', '3 -c', '3 -d', '4 +e', '4 +f'], ['4 +e']],
    ['of two, one after the other', ['0 +a', '0 +b', '1 -a', '2 +c', '3 -b', '4 +d', '5 -c', '6 +e'], ['6 +e']],
  ])('%s', (_, events, found) => {
    expect(story().tell(...events)).toEqual(found);
  });

  it('is told with owner, namespace and images', () => {
    const { tell, see, made } = story();
    tell('0 +a', '1 -a', '2 +b', '3 -b');
    expect(see(4, 'c', made(4, 'c'))).toEqual({ owner: CLUSTER, namespace: 'default', from: FROM, to: TO, count: 3 });
  });

  it('is found by pods of the same name, too', () => {
    const { fighting, made } = story();
    const pod = (second: number, uid: string): PodView => ({ ...made(second, 'db-1'), uid });
    expect(fighting.see(undefined, pod(0, 'a'), NOW)).toBeUndefined();
    expect(fighting.see(pod(0, 'a'), pod(1, 'b'), NOW + 1_000)).toBeUndefined();
    expect(fighting.see(pod(1, 'b'), pod(2, 'c'), NOW + 2_000)).toMatchObject({ owner: CLUSTER });
  });
});

describe("pods of Kubernetes' own controllers, deleted by somebody else", () => {
  it.each<[string, string[], string[]]>([
    ['three in a row', ['0 +a', '1 -a', '2 +b', '3 -b', '4 +c', '5 ~c', '6 -c', '7 +d'], ['5 ~c']],
    ['two in a row', ['0 +a', '1 -a', '2 +b', '3 -b', '4 +c', '200 -c'], []],
    ['three, the last one too late', ['0 +a', '1 -a', '2 +b', '3 -b', '4 +c', '121 -c', '122 +d'], []],
  ])('%s', (_, events, found) => {
    expect(story(() => ({ owner: SET })).tell(...events)).toEqual(found);
  });

  it.each<[PodOwner['apiVersion'], PodOwner['kind'], number]>([
    ['apps/v1', 'ReplicaSet', 0],
    ['batch/v1', 'Job', 0],
    ['v1', 'ReplicationController', 0],
    ['v1', 'ConfigMap', 1],
    ['apps.kruise.io/v1alpha1', 'CloneSet', 1],
  ])('%s %s', (apiVersion, kind, found) => {
    const { tell } = story(() => ({ owner: { ...CLUSTER, apiVersion, kind } }));
    expect(tell('0 +a', '1 -a', '2 +b', '3 -b', '4 +c')).toHaveLength(found);
  });
});

describe('what is no fight', () => {
  it.each<[string, string[]]>([
    [
      'scaled down, up and down again',
      [...ten('+', 0), ...ten('-', 9), ...tenMore('+', 20), '30 =k', ...tenMore('~', 99)],
    ],
    [
      'restarted pod by pod, twice',
      [...each('a', 'b', 'c')('+', 0), '9 -a', '10 +d', '11 -b', '12 +e', '13 -c', '14 +f', '20 -d', '21 =e'],
    ],
    ['deleted for good', [...ten('+', 0), ...ten('~', 5), ...ten('-', 6)]],
    ['made more and more', [...ten('+', 0), ...tenMore('+', 1), ...tenLast('+', 2)]],
    ['old pods that go', ['0 +a', '121 -a', '122 +b', '243 -b', '244 +c', '365 -c', '366 +d']],
  ])('%s', (_, events) => {
    expect(story().tell(...events)).toEqual([]);
  });

  it.each<[string, Pods]>([
    ['not rewritten', () => ({ images: [{ key: 'c:db', image: FROM }] })],
    ['through the proxy, as it was written', () => ({ originals: {} })],
    ['no owner', () => ({ owner: undefined as never })],
    ['another owner each time, as a rollout has', (name) => ({ owner: { ...CLUSTER, uid: name } })],
    ['another image each time', (name) => ({ originals: { 'c:db': name } })],
    ['rewritten to something else each time', (name) => ({ images: [{ key: 'c:db', image: name }] })],
    ['of one image more each time', (name) => rewritten([...'abcd'].slice(0, 'abcd'.indexOf(name) + 1))],
    ['completed', () => ({ finishedAt: NOW })],
    ['evicted, drained, preempted', () => ({ disrupted: true })],
    ['of an old age when first seen', () => ({ createdAt: NOW - 121_000 })],
    ['deleted already when first seen', () => ({ deleting: true })],
  ])('pods that are %s', (_, pods) => {
    expect(story(pods).tell('0 +a', '1 -a', '2 +b', '3 -b', '4 +c', '5 -c', '6 +d', '7 -d')).toEqual([]);
  });

  it('pods that complete before they are deleted', () => {
    const { see, made, tell } = story();
    const rows = ['a', 'b', 'c', 'd'].map((name, index) => {
      tell(`${index} +${name}`);
      see(index, name, { ...made(index, name), finishedAt: NOW });
      return tell(`${index} -${name}`);
    });
    expect(rows.flat()).toEqual([]);
  });
});

describe('what is remembered', () => {
  it('is nothing while no young pod goes, and nothing some time after', () => {
    const { tell, fighting } = story();
    tell(...ten('+', 0));
    expect(fighting.size).toBe(0);
    tell('1 -a', '2 -b', '3 +k');
    expect(fighting.size).toBe(1);
    tell('121 =k');
    expect(fighting.size).toBe(1);
    tell('122 =k');
    expect(fighting.size).toBe(0);
  });

  it('is bounded: of too many rows the oldest goes', () => {
    const { tell, fighting } = story((name) => ({ owner: { ...CLUSTER, uid: name.split('/')[0]! } }));
    for (let index = 0; index < 1_100; index++) tell(`1 +${index}/a`, `1 -${index}/a`);
    expect(fighting.size).toBe(1_000);
    const rest = (uid: number) => tell(`2 +${uid}/b`, `3 -${uid}/b`, `4 +${uid}/c`);
    expect([rest(1), rest(1_099)]).toEqual([[], ['4 +1099/c']]);
  });
});
