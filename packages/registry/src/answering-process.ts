import { TRANSFER_INSTANCE_HEADER } from '@kuik/contracts';

/**
 * The process that answers at a copier's address, by the name that it gives itself ('' when it gives none); undefined when what answers is no copier
 * that serves. Throws what `fetch` throws.
 */
export async function answeringProcess(origin: string, signal: AbortSignal): Promise<string | undefined> {
  const response = await fetch(`${origin}/v2/`, { signal, redirect: 'error' });
  await response.body?.cancel();
  return response.status === 200 ? (response.headers.get(TRANSFER_INSTANCE_HEADER) ?? '') : undefined;
}
