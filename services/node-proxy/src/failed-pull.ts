import { RegistryError } from '@kuik/registry';
import { ClientGone } from './client-stream.ts';
import type { AnswerContext } from './error-answer.ts';
import { codeOfBroken, PullFailure, UpstreamFailure } from './failure.ts';
import type { PullRecord } from './pull-record.ts';

/**
 * Notes why a pull failed. Returns what the client is answered; undefined when it is gone, or when its answer was `begun`: that cannot be
 * taken back, and is broken off.
 */
export function failedPull(
  error: unknown,
  record: PullRecord,
  begun: boolean,
): { failure: PullFailure; context: AnswerContext } | undefined {
  const gone = error instanceof ClientGone || (error instanceof RegistryError && error.code === 'aborted');
  if (gone) {
    record.code = 'client-gone';
    return undefined;
  }
  const failure =
    error instanceof PullFailure ? error : new PullFailure('internal', 'the proxy failed', { cause: error });
  record.code = begun && error instanceof RegistryError ? codeOfBroken(error) : failure.code.code;
  record.error = error instanceof Error ? error.message : String(error);
  if (begun) return undefined;
  record.status = failure.code.http;
  if (failure.cause instanceof UpstreamFailure) record.reason = 'UpstreamFailed';
  const context = {
    requestId: record.id,
    ...(record.name === undefined ? {} : { repository: record.name }),
    ...(record.reference === undefined ? {} : { reference: record.reference }),
    ...(record.digest === undefined ? {} : { digest: record.digest }),
  };
  return { failure, context };
}
