import { ErrorCode, NatsError } from 'nats';
import { BusError } from '../bus-error.ts';

/** Codes of JetStream's own errors that we tell apart (server/errors.json of nats-server). */
export const JS = {
  streamNotFound: 10059,
  messageNotFound: 10037,
  wrongLastSequence: 10071,
  consumerNotFound: 10014,
  streamNameInUse: 10058,
} as const;

/** JetStream's own code of an error, when it has one. */
export function jetStreamCode(error: unknown): number | undefined {
  return error instanceof NatsError ? error.api_error?.err_code : undefined;
}

/** The library's error as ours; `what` completes "cannot ...". */
export function busError(what: string, error: unknown): BusError {
  if (error instanceof BusError) return error;
  const cause = { cause: error };
  if (!(error instanceof NatsError))
    return new BusError('refused', `cannot ${what}: ${error instanceof Error ? error.message : String(error)}`, cause);
  switch (error.code) {
    case ErrorCode.Timeout as string:
      return new BusError('timeout', `cannot ${what}: no answer in time`, cause);
    case ErrorCode.NoResponders as string:
    case ErrorCode.JetStreamNotEnabled as string:
      return new BusError('no-responders', `cannot ${what}: nobody answers`, cause);
    case ErrorCode.ConnectionClosed as string:
    case ErrorCode.ConnectionDraining as string:
    case ErrorCode.Disconnect as string:
      return new BusError('disconnected', `cannot ${what}: not connected to NATS`, cause);
    default:
      break;
  }
  const code = jetStreamCode(error);
  if (code === JS.streamNotFound || code === JS.consumerNotFound)
    return new BusError('missing', `cannot ${what}: the server does not have it`, cause);
  return new BusError('refused', `cannot ${what}: ${error.message}`, cause);
}
