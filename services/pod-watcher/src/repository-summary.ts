import type { CachedImage, Condition, Repository, RepositoryStatus } from '@kuik/contracts';
import { holdingOf } from './cached.ts';
import { neverCached } from './never-cached.ts';
import { namedSecrets, type SecretName } from './pull-sources.ts';
import { describePolicy, policyOf, UPDATE_REASONS } from './update-policy.ts';
import { upstreamView } from './upstream-view.ts';

/** The derived part of a Repository's status. */
export type RepositorySummary = Pick<
  RepositoryStatus,
  'images' | 'phase' | 'conditions' | 'lastUpdate' | 'pullSecrets'
>;

/**
 * How many images a repository has and how they stand, as in kuik v1: being deleted, else any failure, else any that still waits,
 * else ready. Condition `Ready` has the phase as its reason unless ready; `Updates` says how often upstream is asked again, or what is
 * wrong with that wish; `PullSecrets`, that those which a person named are ignored; `Duplicate`, that another object counts for this repository. `lastUpdate` is when upstream was last asked for one of its
 * images (the newest `lastSync`); it never goes back, also when that image is gone.
 */
export function summariseRepository(
  repository: Repository,
  images: readonly CachedImage[],
  now: number,
  duplicateOf?: string,
): RepositorySummary {
  const ready: Draft = { type: 'Ready', ...readiness(repository, images) };
  const drafts = [
    ready,
    ...updates(repository),
    ...ignored(repository),
    ...(duplicateOf === undefined ? [] : [duplicate(duplicateOf)]),
  ];
  const conditions = drafts.map((draft) => {
    const before = repository.status?.conditions?.find(({ type }) => type === draft.type);
    const unchanged = before?.status === draft.status;
    return { ...draft, lastTransitionTime: unchanged ? before.lastTransitionTime : new Date(now).toISOString() };
  });
  const lastUpdate = newest([repository.status?.lastUpdate, ...images.map((image) => upstreamView(image).lastAsked)]);
  const pullSecrets = secretsOf(repository, images);
  return {
    images: images.length,
    phase: ready.status === 'True' ? 'Ready' : ready.reason,
    conditions,
    ...(lastUpdate === undefined ? {} : { lastUpdate }),
    ...(pullSecrets.length === 0 ? {} : { pullSecrets }),
  };
}

/** The summary that the resource shows now. */
export function recordedRepositorySummary({ status = {} }: Repository): RepositorySummary {
  return {
    ...(status.images === undefined ? {} : { images: status.images }),
    ...(status.phase === undefined ? {} : { phase: status.phase }),
    ...(status.conditions === undefined ? {} : { conditions: status.conditions }),
    ...(status.lastUpdate === undefined ? {} : { lastUpdate: status.lastUpdate }),
    ...(status.pullSecrets === undefined ? {} : { pullSecrets: status.pullSecrets }),
  };
}

type Draft = Omit<Condition, 'lastTransitionTime'>;

function updates(repository: Repository): Draft[] {
  const policy = policyOf(repository);
  const type = 'Updates';
  if (policy.kind === 'none') return [];
  if (policy.kind === 'invalid') return [{ type, status: 'False', reason: policy.reason, message: policy.message }];
  const message = describePolicy(policy, repository.spec.updateFilters?.length ?? 0);
  return [{ type, status: 'True', reason: UPDATE_REASONS.scheduled, message }];
}

function ignored(repository: Repository): Draft[] {
  const { pullSecretNames = [] } = repository.spec;
  if (pullSecretNames.length === 0 || namedSecrets([repository]).length > 0) return [];
  const message = 'spec.pullSecretNames is ignored: set spec.pullSecretsNamespace to the namespace of these secrets';
  return [{ type: 'PullSecrets', status: 'False', reason: 'NamespaceMissing', message }];
}

function duplicate(name: string): Draft {
  const message = `Repository ${name} stands for the same repository and counts: delete this one`;
  return { type: 'Duplicate', status: 'True', reason: 'SameRepository', message };
}

function readiness(repository: Repository, images: readonly CachedImage[]): Omit<Draft, 'type'> {
  if (repository.metadata.deletionTimestamp !== undefined) {
    return { status: 'False', reason: 'Terminating', message: 'is being deleted' };
  }
  const waiting = images.filter((image) => !holdingOf(image).cached);
  const failed = waiting.filter(
    (image) =>
      neverCached(image) !== undefined ||
      holdingOf(image).cache?.error !== undefined ||
      upstreamView(image).state === 'Deleted',
  );
  if (failed.length > 0) {
    return {
      status: 'False',
      reason: 'ErrImagePull',
      message: `${failed.length} of ${images.length} images cannot be copied`,
    };
  }
  if (waiting.length > 0) {
    return {
      status: 'False',
      reason: 'Pulling',
      message: `${waiting.length} of ${images.length} images wait for their copy`,
    };
  }
  return { status: 'True', reason: 'UpToDate', message: 'every image is cached' };
}

/** Every pull secret that counts for it: what a person named, and those of all images, whichever namespaces they are of. */
function secretsOf(repository: Repository, images: readonly CachedImage[]): SecretName[] {
  const all = new Map(
    [...namedSecrets([repository]), ...images.flatMap(({ status }) => status?.pullSecrets ?? [])].map((secret) => [
      `${secret.namespace}/${secret.name}`,
      secret,
    ]),
  );
  return [...all.keys()]
    .sort()
    .slice(0, SECRETS_SHOWN)
    .map((key) => all.get(key)!);
}

const SECRETS_SHOWN = 64;

/** The latest of RFC 3339 times. */
function newest(times: readonly (string | undefined)[]): string | undefined {
  return times.reduce((a, b) => (a === undefined || (b !== undefined && Date.parse(b) > Date.parse(a)) ? b : a));
}
