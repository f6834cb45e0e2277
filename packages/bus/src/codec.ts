import { BusError } from './bus-error.ts';

/** The part of a zod schema that is used here. */
interface Schema<T> {
  safeParse(
    value: unknown,
  ):
    | { success: true; data: T }
    | { success: false; error: { issues: readonly { path: readonly PropertyKey[]; message: string }[] } };
}

const encoder = new TextEncoder();
const decoder = new TextDecoder('utf-8', { fatal: true });

/** JSON bytes of a payload that fits its schema. Throws BusError `invalid-payload` or `too-large`; no value is ever named. */
export function encode<T>(what: string, schema: Schema<T>, payload: T, maxBytes: number): Uint8Array {
  const parsed = schema.safeParse(payload);
  if (!parsed.success)
    throw new BusError('invalid-payload', `payload for ${what} does not fit: ${firstIssue(parsed.error.issues)}`);
  const bytes = encoder.encode(JSON.stringify(parsed.data));
  if (bytes.byteLength > maxBytes) {
    throw new BusError(
      'too-large',
      `payload for ${what} has ${bytes.byteLength} bytes, at most ${maxBytes} are allowed`,
    );
  }
  return bytes;
}

export type Decoded<T> = { ok: true; value: T } | { ok: false; reason: string };

/** The payload of received bytes, or why they are none. */
export function decode<T>(schema: Schema<T>, bytes: Uint8Array, maxBytes: number): Decoded<T> {
  if (bytes.byteLength > maxBytes)
    return { ok: false, reason: `${bytes.byteLength} bytes, at most ${maxBytes} are allowed` };
  let json: unknown;
  try {
    json = JSON.parse(decoder.decode(bytes));
  } catch {
    return { ok: false, reason: 'not JSON' };
  }
  const parsed = schema.safeParse(json);
  return parsed.success ? { ok: true, value: parsed.data } : { ok: false, reason: firstIssue(parsed.error.issues) };
}

function firstIssue(issues: readonly { path: readonly PropertyKey[]; message: string }[]): string {
  const [issue] = issues;
  return issue === undefined ? 'unknown' : `${issue.path.map(String).join('.') || '(whole)'}: ${issue.message}`;
}
