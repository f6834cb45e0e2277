import { type CachedImage, GROUP, type Repository, VERSION } from '@kuik/contracts';
import type { Resource } from '@kuik/kube';
import { isV1Writer, managedFieldsOf } from './v1-traces.ts';

/**
 * An object as it is kept in memory: without what the API server keeps for itself (most of its size) unless kuik v1 is named there, and
 * with its kind, which items of a list lack.
 */
export function keptObject<T extends CachedImage | Repository>(object: T, { kind }: Resource): T {
  const managedFields = managedFieldsOf(object);
  const { managedFields: _all, ...metadata } = object.metadata as T['metadata'] & { managedFields?: unknown };
  const kept = managedFields.some(isV1Writer) ? { ...metadata, managedFields } : metadata;
  return { ...object, apiVersion: `${GROUP}/${VERSION}`, kind, metadata: kept };
}
