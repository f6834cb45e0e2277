import type { RegistryError, RegistryErrorCode } from '@kuik/registry';

const REFUSALS: ReadonlySet<RegistryErrorCode> = new Set(['unauthorized', 'forbidden', 'rejected', 'untrusted-host']);

/** Whether this is a registry's (or its token server's) no to a login; anything else says nothing about the login. */
export function refusesLogin({ code }: RegistryError): boolean {
  return REFUSALS.has(code);
}
