import { beforeEach, describe, expect, it } from '@jest/globals';
import { ADMISSION_POLICY, WEBHOOK_CONFIGURATION } from '@kuik/contracts';
import {
  MUTATING_ADMISSION_POLICIES,
  MUTATING_ADMISSION_POLICY_BINDINGS,
  MUTATING_WEBHOOK_CONFIGURATIONS,
  type FollowedConfigMap,
  type KubeObject,
} from '@kuik/kube';
import { memoryKube, type MemoryKube } from '@kuik/kube/memory';
import { rulesFile, type WrittenRules } from '@kuik/rules';
import { createMetrics, silentLogger } from '@kuik/runtime';
import type { AdmissionWish } from './admission-path.ts';
import { PolicyLoop } from './policy-loop.ts';

type Configuration = KubeObject & { webhooks: { matchConditions?: { name: string }[] }[] };
type Policy = KubeObject & { spec: { variables: { name: string; expression: string }[] } };

const signal = new AbortController().signal;
let kube: MemoryKube;
let now: number;
const PATIENCE = 180_000;
beforeEach(() => {
  kube = memoryKube();
  now = 0;
  register();
});

function register(): void {
  kube.put<Configuration>(MUTATING_WEBHOOK_CONFIGURATIONS, {
    metadata: { name: WEBHOOK_CONFIGURATION },
    webhooks: [{}],
  });
}

type Spared = Pick<FollowedConfigMap, 'synced' | 'current' | 'onChange'>;
const NONE: Spared = { synced: () => true, current: () => undefined, onChange: () => undefined };

interface Rounds {
  readonly written?: { rules: WrittenRules };
  readonly answers?: () => boolean;
  readonly spared?: Spared;
}

function loopOf(wish: AdmissionWish, { written = { rules: {} }, answers = () => true, spared = NONE }: Rounds = {}) {
  const metrics = createMetrics({ service: 'webhook', defaults: false });
  const loop = new PolicyLoop({
    wish,
    rules: () => rulesFile.parse(written.rules),
    spared: { name: 'kuik-spared-owners', ...spared },
    ownNamespaces: ['kuik-system'],
    proxyPrefixes: ['localhost:7439'],
    kube,
    checkMs: 1_000,
    patienceMs: PATIENCE,
    answers,
    clock: { now: () => now, monotonic: () => now },
    log: silentLogger,
    metrics,
    onRound: () => undefined,
  });
  const round = () => loop.round(signal);
  const rounds = async (count: number) => {
    for (let at = 0; at < count; at++) await round();
  };
  return { round, rounds, metrics: () => metrics.render() };
}

const policy = () => kube.find<Policy>(MUTATING_ADMISSION_POLICIES, { name: ADMISSION_POLICY });
const binding = () => kube.find(MUTATING_ADMISSION_POLICY_BINDINGS, { name: ADMISSION_POLICY });
const gated = () =>
  kube
    .find<Configuration>(MUTATING_WEBHOOK_CONFIGURATIONS, { name: WEBHOOK_CONFIGURATION })
    ?.webhooks.every(({ matchConditions = [] }) => matchConditions.length === 1);
const state = () => ({ policy: policy() !== undefined, binding: binding() !== undefined, gated: gated() });
const BY_POLICY = { policy: true, binding: true, gated: true };
const BY_WEBHOOK = { policy: false, binding: false, gated: false };
const writes = () => kube.calls.filter(({ verb }) => verb !== 'get').length;
const tooMuch: WrittenRules = { ignoreImages: ['x'.repeat(5_000)] };

describe('PolicyLoop', () => {
  it.each<AdmissionWish>(['policy', 'auto'])('with %s has the policy, its binding and the gate', async (wish) => {
    const { round, metrics } = loopOf(wish);
    await round();
    expect(state()).toEqual(BY_POLICY);
    expect(await metrics()).toMatch(/kuik_admission_by_policy(\{[^}]*\})? 1/);
    expect(await metrics()).toMatch(/kuik_admission_policy_total\{result="applied"\} 1/);
  });

  it('spares owners as soon as they are listed, and leaves the policy as it is while they are not known', async () => {
    let [synced, map]: [boolean, ReturnType<Spared['current']>] = [false, undefined];
    let changed = (): void => undefined;
    const onChange = (listener: () => void) => void (changed = listener);
    const { round } = loopOf('policy', { spared: { synced: () => synced, current: () => map, onChange } });
    const said = () => policy()?.spec.variables.find(({ name }) => name === 'sparedOwners')?.expression;
    await expect(round()).rejects.toThrow('kuik-spared-owners was not listed yet');
    expect(policy()).toBeUndefined();
    synced = true;
    await round();
    expect(said()).toContain('o.uid in []');
    map = { data: { b: '', a: '' }, resourceVersion: '1' };
    changed();
    for (let turns = 0; turns < 100 && said()?.includes('[]') === true; turns++) await Promise.resolve();
    expect(said()).toContain('o.uid in ["a", "b"]');
    [synced, map] = [false, undefined];
    await expect(round()).rejects.toThrow('kuik-spared-owners');
    expect(said()).toContain('o.uid in ["a", "b"]');
  });

  it('lets both belong to the registration, and goes with it', async () => {
    const { round } = loopOf('policy');
    await round();
    const registration = kube.find(MUTATING_WEBHOOK_CONFIGURATIONS, { name: WEBHOOK_CONFIGURATION })!;
    for (const object of [policy(), binding()])
      expect(object?.metadata.ownerReferences).toMatchObject([
        { kind: 'MutatingWebhookConfiguration', name: WEBHOOK_CONFIGURATION, uid: registration.metadata.uid },
      ]);
    kube.drop(MUTATING_WEBHOOK_CONFIGURATIONS, { name: WEBHOOK_CONFIGURATION });
    await round();
    expect(state()).toEqual({ policy: false, binding: false, gated: undefined });
    register();
    await round();
    expect(state()).toEqual(BY_POLICY);
  });

  it('writes nothing when all is in place, and with the webhook alone', async () => {
    const byPolicy = loopOf('policy');
    await byPolicy.round();
    const after = writes();
    await byPolicy.round();
    expect(writes()).toBe(after);
    kube = memoryKube();
    await loopOf('webhook').round();
    expect(writes()).toBe(0);
  });

  it('puts right what somebody removed or edited, unless another replica was ahead', async () => {
    const { round } = loopOf('policy');
    await round();
    kube.drop(MUTATING_ADMISSION_POLICY_BINDINGS, { name: ADMISSION_POLICY });
    const edited = policy()!;
    kube.put<Policy>(MUTATING_ADMISSION_POLICIES, { ...edited, spec: { ...edited.spec, variables: [] } });
    await round();
    expect(binding()).toBeUndefined();
    now += PATIENCE;
    await round();
    expect(binding()).toBeDefined();
    expect(policy()?.spec.variables).toEqual(edited.spec.variables);
  });

  it('opens the gate before it removes the policy, and removes the binding first', async () => {
    await loopOf('policy').round();
    const before = kube.calls.length;
    await loopOf('webhook').rounds(4);
    expect(state()).toEqual(BY_WEBHOOK);
    const made = kube.calls.slice(before).filter(({ verb }) => verb !== 'get');
    expect(made.map(({ verb, resource }) => `${verb} ${resource}`)).toEqual([
      'patch mutatingwebhookconfigurations',
      'delete mutatingadmissionpolicybindings',
      'delete mutatingadmissionpolicies',
    ]);
  });

  it('keeps the policy until the webhook could answer for a while', async () => {
    await loopOf('policy').round();
    let able = false;
    const { round, rounds } = loopOf('webhook', { answers: () => able });
    await rounds(10);
    expect(state()).toEqual({ ...BY_POLICY, gated: false });
    able = true;
    await rounds(3);
    expect(state()).toEqual({ ...BY_POLICY, gated: false });
    await round();
    expect(state()).toEqual(BY_WEBHOOK);
  });

  it.each<[string, AdmissionWish, AdmissionWish, WrittenRules]>([
    ['other rules', 'policy', 'policy', { ignoreImages: ['^quay'] }],
    ['a policy instead of the webhook', 'webhook', 'auto', {}],
    ['the webhook instead of a policy', 'policy', 'webhook', {}],
  ])('does not undo what a newer replica wrote: %s', async (_, before, after, rules) => {
    const old = loopOf(before);
    await old.rounds(5);
    const newer = loopOf(after, { written: { rules } });
    await newer.rounds(5);
    const [count, wanted] = [writes(), policy()?.spec];
    for (let check = 0; check < 17; check++) {
      now += 10_000;
      await old.round();
      await newer.round();
    }
    expect(writes()).toBe(count);
    expect(policy()?.spec).toEqual(wanted);
  });

  it('of two that stay at odds each writes once in the time of patience, not at every check', async () => {
    const loops = [loopOf('policy'), loopOf('policy', { written: { rules: { ignoreImages: ['^quay'] } } })];
    for (const { round } of loops) await round();
    const count = writes();
    for (let check = 0; check < 60; check++) {
      now += 10_000;
      for (const { round } of loops) await round();
    }
    expect(writes() - count).toBeLessThanOrEqual(4);
  });

  it('follows the rules', async () => {
    const written = { rules: {} as WrittenRules };
    const { round } = loopOf('policy', { written });
    await round();
    written.rules = { ignoreImages: ['^quay'] };
    await round();
    expect(policy()?.spec.variables.map(({ name }) => name)).toContain('ignoreImages');
  });

  it.each<AdmissionWish>(['policy', 'auto'])(
    'with %s leaves it to the webhook where no policies are served',
    async (wish) => {
      const { round, metrics } = loopOf(wish);
      kube.failNext('not-found', { verb: 'apply', resource: MUTATING_ADMISSION_POLICIES });
      await round();
      expect(state()).toEqual(BY_WEBHOOK);
      expect(await metrics()).toMatch(/kuik_admission_by_policy(\{[^}]*\})? 0/);
    },
  );

  it('with auto leaves rules to the webhook that CEL cannot say, and takes over again', async () => {
    const written = { rules: {} as WrittenRules };
    const { round, rounds } = loopOf('auto', { written });
    await rounds(4);
    written.rules = tooMuch;
    await round();
    expect(state()).toEqual(BY_WEBHOOK);
    written.rules = {};
    await round();
    expect(state()).toEqual(BY_POLICY);
  });

  it('with policy keeps the one in place when the API server refuses the next, and does not ask again at once', async () => {
    const written = { rules: {} as WrittenRules };
    const { round, metrics } = loopOf('policy', { written });
    await round();
    const before = policy()?.spec;
    written.rules = { ignoreImages: ['^quay'] };
    kube.failNext('invalid', { verb: 'apply', resource: MUTATING_ADMISSION_POLICIES });
    await round();
    await round();
    expect(state()).toEqual(BY_POLICY);
    expect(policy()?.spec).toEqual(before);
    expect(await metrics()).toMatch(/kuik_admission_policy_total\{result="refused"\} 1/);
    now += 11 * 60_000;
    await round();
    expect(policy()?.spec).not.toEqual(before);
  });

  it('with auto leaves refused rules to the webhook', async () => {
    const { round } = loopOf('auto');
    kube.failNext('invalid', { verb: 'apply' });
    await round();
    expect(state()).toEqual(BY_WEBHOOK);
  });

  it('fails the round for what may be otherwise next time', async () => {
    const { round } = loopOf('auto');
    kube.failNext('unavailable', { verb: 'apply' });
    await expect(round()).rejects.toMatchObject({ code: 'unavailable' });
    kube.failNext('conflict', { verb: 'patch' });
    await expect(round()).rejects.toMatchObject({ code: 'conflict' });
    await round();
    expect(state()).toEqual(BY_POLICY);
  });
});
