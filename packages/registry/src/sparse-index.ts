import { RegistryError } from './errors.ts';
import type { Descriptor } from './plan.ts';
import type { RepositoryClient } from './port.ts';

/** What registries say of an index some of whose manifests they do not have: Distribution the first, others one of the rest. */
const SAID: readonly (string | undefined)[] = ['MANIFEST_BLOB_UNKNOWN', 'MANIFEST_UNKNOWN', 'MANIFEST_INVALID'];

/** The target takes an index only with everything that it lists. */
export class SparseIndexRefused extends RegistryError {
  constructor(
    target: Pick<RepositoryClient, 'host' | 'repository'>,
    lacks: readonly Descriptor[],
    cause: RegistryError,
  ) {
    const message = `${target.host}/${target.repository} takes no index without all that it lists, and ${lacks[0]?.digest} is not there (${lacks.length} in all; Distribution takes it with validation.manifests.indexes.platforms: none)`;
    super('rejected', message, {
      cause,
      ...(cause.status === undefined ? {} : { status: cause.status }),
      ...(cause.said === undefined ? {} : { said: cause.said }),
    });
    this.name = 'SparseIndexRefused';
  }
}

/** The error of a manifest that was not taken, as what it is when the reason are the manifests that the target lacks. */
export function asSparseRefusal(
  error: unknown,
  target: Pick<RepositoryClient, 'host' | 'repository'>,
  lacks: readonly Descriptor[],
): unknown {
  if (lacks.length === 0 || !(error instanceof RegistryError)) return error;
  const refused = error.code === 'rejected' || error.code === 'not-found';
  return refused && SAID.includes(error.said) ? new SparseIndexRefused(target, lacks, error) : error;
}
