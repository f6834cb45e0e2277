import { isRecord } from '@kuik/rules';

/** The part of an AdmissionReview v1 request that is read here; everything inside `object` is still unchecked. */
export interface AdmissionRequest {
  readonly uid: string;
  readonly operation: unknown;
  readonly resource: unknown;
  readonly subResource: unknown;
  readonly namespace: unknown;
  readonly name: unknown;
  readonly dryRun: unknown;
  readonly object: unknown;
  readonly oldObject: unknown;
}

/** A body that is no AdmissionReview; `status` is the HTTP status, `message` one line for whoever sent it. */
export class MalformedReview extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = 'MalformedReview';
    this.status = status;
  }
}

const API_VERSION = 'admission.k8s.io/v1';

/**
 * Reads an AdmissionReview as far as its uid: with that a pod can be let through, whatever else is odd in it.
 * Throws MalformedReview (400). Source: kubernetes.io/docs/reference/access-authn-authz/extensible-admission-controllers.
 */
export function readReview(body: Buffer): AdmissionRequest {
  const review = parse(body);
  if (!isRecord(review)) throw malformed(`the body is ${kindOf(review)}, not an AdmissionReview`);
  if (review['kind'] !== 'AdmissionReview') throw malformed('kind is not AdmissionReview');
  if (review['apiVersion'] !== API_VERSION) {
    throw malformed(`apiVersion is ${JSON.stringify(review['apiVersion'])?.slice(0, 100)}, not ${API_VERSION}`);
  }
  const request = review['request'];
  if (!isRecord(request)) throw malformed(`request is ${kindOf(request)}`);
  if (typeof request['uid'] !== 'string' || request['uid'] === '') throw malformed('request.uid is missing');
  return request as unknown as AdmissionRequest;
}

function parse(body: Buffer): unknown {
  if (body.length === 0) throw malformed('the body is empty');
  try {
    return JSON.parse(body.toString('utf8')) as unknown;
  } catch {
    throw malformed('the body is not JSON (truncated?)');
  }
}

function malformed(what: string): MalformedReview {
  return new MalformedReview(400, `not an AdmissionReview: ${what}`);
}

function kindOf(value: unknown): string {
  if (value === undefined) return 'missing';
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a ${typeof value}`;
}
