import type { ServerResponse } from 'node:http';
import { ERROR_CODES, explain, remedyFor } from '@kuik/contracts';
import { repositoriesOf } from '@kuik/image';
import type { PullFailure } from './failure.ts';

/** What the failure was about: goes into `detail`, never holds a secret. */
export interface AnswerContext {
  readonly requestId: string;
  readonly repository?: string;
  readonly reference?: string;
  readonly digest?: string;
}

export interface ErrorAnswer {
  readonly status: number;
  /** What follows the status on its line: all that a runtime shows of an answer to HEAD, which is how it begins each pull. */
  readonly reason: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer;
}

/** RFC 7617: a kubelet then shows the pull secret that admission added. */
const CHALLENGE = 'Basic realm="kube-image-keeper", charset="UTF-8"';

/** On every answer under /v2/ (distribution spec, "Determining support"; Docker's header). */
export const API_VERSION = { 'Docker-Distribution-Api-Version': 'registry/2.0' } as const;

/**
 * The one place where a failure becomes an HTTP answer: `{"errors":[{code,message,detail}]}` of the distribution spec, with the
 * KUIK code and a remedy in message and detail: a kubelet's event shows the message alone.
 */
export function errorAnswer(failure: PullFailure, context: AnswerContext): ErrorAnswer {
  const { code, http, oci } = ERROR_CODES[failure.failure];
  // What was asked for is as pods name it (`host__5000`); settings name the host itself.
  const [asked] = repositoriesOf(context.repository ?? '');
  const remedy = remedyFor(ERROR_CODES[failure.failure], asked?.host);
  const message = explain(code, failure.message, remedy);
  const body = Buffer.from(
    `${JSON.stringify({ errors: [{ code: oci, message, detail: { code, remedy, ...context } }] })}\n`,
  );
  const headers: Record<string, string> = {
    ...API_VERSION,
    'Content-Type': 'application/json',
    'Content-Length': String(body.length),
    'X-Content-Type-Options': 'nosniff',
    'X-Request-Id': context.requestId,
  };
  if (failure.failure === 'grantNeeded') headers['WWW-Authenticate'] = CHALLENGE;
  if (failure.failure === 'readOnly') headers['Allow'] = 'GET, HEAD';
  if (failure.totalSize !== undefined) headers['Content-Range'] = `bytes */${failure.totalSize}`;
  if (failure.retryAfterMs !== undefined) headers['Retry-After'] = String(Math.ceil(failure.retryAfterMs / 1000));
  return { status: http, reason: reasonPhrase(message), headers, body };
}

/** Sends it. HEAD gets the same headers and no body; a refused write is not read to its end. */
export function answerFailure(response: ServerResponse, failure: PullFailure, context: AnswerContext): void {
  const { status, reason, headers, body } = errorAnswer(failure, context);
  if (failure.failure === 'readOnly') response.shouldKeepAlive = false;
  response.writeHead(status, reason, headers);
  response.end(body);
}

const LONGEST_REASON = 400;

/** A text as one line that may stand beside a status (RFC 9112 §4): words of printable ASCII, not endless. */
function reasonPhrase(text: string): string {
  const plain = text.replaceAll(/[^\x21-\x7e]+/g, ' ').trim();
  return plain.length <= LONGEST_REASON ? plain : `${plain.slice(0, LONGEST_REASON - 3)}...`;
}
