import type { CachedImage, Repository } from '@kuik/contracts';
import type { HolderView } from './holder-view.ts';
import type { PodView } from './pod-view.ts';
import type { Requester } from './requester.ts';

/** Where credentials may come from: secrets by name, and service accounts whose secrets count too. */
export interface PullSources {
  readonly secrets: readonly SecretName[];
  readonly serviceAccounts: readonly SecretName[];
}

export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

export interface Known {
  /** Pods that use the repository and have not completed. */
  readonly pods: readonly PodView[];
  /** Workloads that hold an image of it: their pods may not be there yet. */
  readonly templates: readonly HolderView[];
  readonly images: readonly CachedImage[];
  readonly repositories: readonly Repository[];
  /** The secret for checks of this host, for monitor alone, when nothing else does. */
  readonly fallback?: SecretName | undefined;
}

const SOURCES_MAX = 32;

/**
 * What a requester may use for a repository; undefined when it may not have it at all. A node: the secrets of its own pods
 * that use it. A service of ours: those of every pod and workload that uses it, what the images remember of those that are gone, and what
 * a Repository names; nothing is denied as long as an image of it is known. Monitor's checks have the host's fallback secret, last: what it alone
 * can read is not copied, and no node gets it.
 */
export function pullSourcesFor(requester: Requester, known: Known): PullSources | undefined {
  if (requester.kind === 'nobody') return undefined;
  if (requester.kind === 'node') {
    const pods = known.pods.filter(({ node }) => node === requester.node);
    return pods.length === 0 ? undefined : collect(pods, []);
  }
  if (known.images.length === 0) return undefined;
  const remembered = known.images.flatMap(({ status }) => status?.pullSecrets ?? []);
  // However many pods there are, what a person named for all of them is tried, and however much that is, what they bring.
  const last = requester.checks === true && known.fallback !== undefined ? [known.fallback] : [];
  const room = SOURCES_MAX - last.length;
  const named = distinct(namedSecrets(known.repositories), room);
  const ownMax = room - Math.min(named.length, Math.floor(room / 2));
  const sources = collect([...known.pods, ...known.templates], [...named, ...remembered], { room, ownMax });
  return { ...sources, secrets: distinct([...sources.secrets, ...last]) };
}

/** The pull secrets that Repositories name for all that use them. */
export function namedSecrets(repositories: readonly Repository[]): SecretName[] {
  return repositories.flatMap(({ spec: { pullSecretNames = [], pullSecretsNamespace: namespace } }) =>
    namespace === undefined || namespace === '' ? [] : pullSecretNames.map((name) => ({ namespace, name })),
  );
}

/** `room`: how many secrets there may be; `ownMax`: how many of holders. */
function collect(
  holders: readonly HolderView[],
  further: readonly SecretName[],
  { room, ownMax } = { room: SOURCES_MAX, ownMax: SOURCES_MAX },
): PullSources {
  // What is in no namespace has no secrets either.
  const inNamespaces = holders.filter(({ namespace }) => namespace !== '');
  const own = inNamespaces.flatMap(({ namespace, pullSecrets }) => pullSecrets.map((name) => ({ namespace, name })));
  const accounts = inNamespaces.map(({ namespace, serviceAccount }) => ({ namespace, name: serviceAccount }));
  return { secrets: distinct([...distinct(own, ownMax), ...further], room), serviceAccounts: distinct(accounts) };
}

/** Each once, in order, bounded: one request may not read the whole cluster's secrets. */
export function distinct(names: readonly SecretName[], max = SOURCES_MAX): SecretName[] {
  const found = new Map<string, SecretName>();
  for (const { namespace, name } of names) {
    if (found.size >= max) break;
    found.set(`${namespace}/${name}`, { namespace, name });
  }
  return [...found.values()];
}
