import { type CachedImage, FIELD_MANAGER_V1, type Repository } from '@kuik/contracts';

/** One entry of `metadata.managedFields`: who wrote which fields, and how (Kubernetes API, ManagedFieldsEntry). */
export interface ManagedFields {
  readonly manager?: string;
  readonly operation?: string;
  readonly fieldsV1?: object;
}

/** Two merge patches that take over an object which kuik v1 wrote: of its status, to be sent first, and of the rest. */
export interface V1Traces {
  readonly status?: Readonly<Record<string, null>>;
  readonly object: {
    readonly metadata: { readonly managedFields: readonly object[] };
    readonly spec?: Readonly<Record<string, null>>;
  };
}

/**
 * What kuik v1 left in a CachedImage that nobody stands for any more; undefined when there is nothing:
 * 1. its view of the status: facts of another cache, which nobody would ever withdraw;
 * 2. a date in `spec.expiresAt` that its controllers alone wrote: they computed it, no person wished for it. One that anybody else owns as
 *    well, or that nobody owns, is a person's;
 * 3. its entries in `managedFields`, which keep alive whatever it once wrote.
 */
export function imageTraces(image: CachedImage): V1Traces | undefined {
  return tracesOf(image, ['expiresAt']);
}

/**
 * The same of a Repository. Secrets that v1 named there stay, as if a person had named them; without any, the namespace beside them (of
 * whichever pod came last) says nothing. When it last looked for updates stays true.
 */
export function repositoryTraces(repository: Repository): V1Traces | undefined {
  const { pullSecretNames = [] } = repository.spec;
  return tracesOf(repository, pullSecretNames.length === 0 ? ['pullSecretNames', 'pullSecretsNamespace'] : []);
}

/** Who wrote which fields of an object, as far as it is kept. */
export function managedFieldsOf({ metadata }: { readonly metadata: object }): readonly ManagedFields[] {
  return (metadata as { managedFields?: readonly ManagedFields[] }).managedFields ?? [];
}

export function isV1Writer({ manager, operation }: ManagedFields): boolean {
  return manager === FIELD_MANAGER_V1.manager && operation === FIELD_MANAGER_V1.operation;
}

function tracesOf(object: CachedImage | Repository, computed: readonly string[]): V1Traces | undefined {
  const entries = managedFieldsOf(object);
  const v1 = entries.filter(isV1Writer);
  if (v1.length === 0) return undefined;
  const others = entries.filter((entry) => !isV1Writer(entry));
  const status = v1.flatMap((entry) => ownedIn(entry, 'status')).filter((field) => field !== 'lastUpdate');
  const spec = computed.filter((field) => owns(v1, field) && !owns(others, field));
  return {
    ...(status.length === 0 ? {} : { status: nulls(status) }),
    object: {
      // To the API server an empty list says nothing, a list of one empty entry empties it.
      metadata: { managedFields: others.length === 0 ? [{}] : others },
      ...(spec.length === 0 ? {} : { spec: nulls(spec) }),
    },
  };
}

function owns(entries: readonly ManagedFields[], field: string): boolean {
  return entries.some((entry) => ownedIn(entry, 'spec').includes(field));
}

/** The fields right below `spec` or `status` that an entry covers (`{"f:status": {"f:phase": {}}}`). */
function ownedIn({ fieldsV1 = {} }: ManagedFields, part: 'spec' | 'status'): string[] {
  const fields = (fieldsV1 as Record<string, object | undefined>)[`f:${part}`] ?? {};
  return Object.keys(fields).flatMap((key) => (key.startsWith('f:') ? [key.slice(2)] : []));
}

function nulls(fields: readonly string[]): Record<string, null> {
  return Object.fromEntries(fields.map((field) => [field, null]));
}
