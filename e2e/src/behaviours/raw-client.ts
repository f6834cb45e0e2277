import { createHash } from 'node:crypto';
import { request, type IncomingHttpHeaders, type IncomingMessage } from 'node:http';

const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** What a client was answered, the body hashed and, when it is short, kept. */
export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly digest: string;
  readonly bytes: number;
  readonly text: string;
  /** Whether as much came as the head had promised. */
  readonly complete: boolean;
  readonly ms: number;
}

export interface Asking {
  readonly method?: string;
  readonly body?: string;
  readonly headers?: Record<string, string>;
  /** Called when the first bytes are there; the rest is read when it resolves. */
  readonly atFirstBytes?: () => Promise<void>;
  readonly timeoutMs?: number;
}

/** One request with its target sent as it is: `fetch` would tidy up what is under test. */
export function ask(proxy: string, target: string, asking: Asking = {}): Promise<Answer> {
  const { method = 'GET', body, headers, atFirstBytes, timeoutMs = 30_000 } = asking;
  const [host, port] = proxy.split(':');
  const since = performance.now();
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(timeoutMs);
    const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
    const options = {
      host,
      port,
      method,
      path: target,
      agent: false,
      signal,
      headers: { accept: ACCEPT, ...length, ...headers },
    };
    const outgoing = request(options, (answer) => {
      read(answer, atFirstBytes).then(
        (got) =>
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, ...got, ms: performance.now() - since }),
        reject,
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

async function read(answer: IncomingMessage, atFirstBytes?: () => Promise<void>) {
  const hash = createHash('sha256');
  let [bytes, text] = [0, ''];
  try {
    for await (const chunk of answer as AsyncIterable<Buffer>) {
      if (bytes === 0) await atFirstBytes?.();
      hash.update(chunk);
      bytes += chunk.length;
      if (text.length < 10_000) text += chunk.toString('latin1');
    }
  } catch (error) {
    if (!answer.destroyed && !answer.errored) throw error;
  }
  return { digest: `sha256:${hash.digest('hex')}`, bytes, text, complete: answer.complete };
}

/** An error as the distribution spec shapes it, with our code; throws when the body is none. */
export function errorOf({ status, text }: Answer): { status: number; oci: string; kuik: string } {
  const { errors } = JSON.parse(text) as { errors: { code: string; message: string }[] };
  const [error] = errors;
  if (error === undefined) throw new Error(`no error in ${text}`);
  return { status, oci: error.code, kuik: /KUIK-[A-Z]+-\d+/.exec(JSON.stringify(error))?.[0] ?? text };
}
