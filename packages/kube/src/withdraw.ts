import type { KubeObject } from './port.ts';

interface ManagedFields {
  manager?: string;
  operation?: string;
  subresource?: string;
  fieldsV1?: { 'f:status'?: Record<string, unknown> };
}

/** Whether an applied patch says nothing about the status: its manager withdraws what it said before. */
export function saysNothing(patch: object): boolean {
  const { status } = patch as { status?: object | null };
  return status === undefined || status === null || Object.keys(status).length === 0;
}

/**
 * Whether nobody but `fieldManager` owns anything of an object's status. The last owner cannot withdraw by leaving its fields
 * out: the API server (seen on 1.36) then makes `status: null` of it and refuses that as invalid.
 */
export function ownsStatusAlone(object: KubeObject, fieldManager: string): boolean {
  const { managedFields = [] } = object.metadata as { managedFields?: ManagedFields[] };
  return managedFields.every(({ manager, operation, fieldsV1 }) => {
    const ours = manager === fieldManager && operation === 'Apply';
    return ours || Object.keys(fieldsV1?.['f:status'] ?? {}).length === 0;
  });
}
