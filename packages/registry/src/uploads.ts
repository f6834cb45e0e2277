import { isDigest, isRepositoryPath } from '@kuik/image';
import { describeUrl, RegistryError } from './errors.ts';
import { sameTrust } from './same-trust.ts';
import type { Need } from './authorizer.ts';
import type { ByteSink, Upload } from './port.ts';
import type { RepositoryRequests } from './repository-requests.ts';

const PUSH: Need = { actions: ['pull', 'push'] };
const ABORT_MS = 5_000;

/** Opens an upload session, or has the blob mounted from a sibling repository that holds it. */
export async function startUpload(
  requests: RepositoryRequests,
  options: { mount?: { digest: string; from: string }; signal?: AbortSignal },
): Promise<{ mounted: true } | { mounted: false; upload: Upload }> {
  const { mount, signal } = options;
  const url = requests.url('blobs/uploads/');
  if (mount !== undefined) {
    if (!isDigest(mount.digest) || !isRepositoryPath(mount.from)) {
      throw new RegistryError(
        'rejected',
        `cannot mount "${mount.digest.slice(0, 160)}" from "${mount.from.slice(0, 300)}"`,
      );
    }
    url.searchParams.set('mount', mount.digest);
    url.searchParams.set('from', mount.from);
  }
  const need = mount === undefined ? PUSH : { ...PUSH, mountFrom: mount.from };
  const call = { operation: 'upload', need, signal } as const;
  const answer = await requests.send(call, { method: 'POST', url, headers: { 'content-length': '0' } });
  if (answer.status === 201 && mount !== undefined) {
    answer.discard();
    return { mounted: true };
  }
  const { host, repository } = requests.context;
  const doing = `cannot upload to ${host}/${repository}`;
  if (answer.status !== 202) throw await requests.failure(doing, answer);
  answer.discard();
  const location = locationOf(requests, answer, answer.url, doing);
  return { mounted: false, upload: new UploadSession(requests, location, doing, chunkMinOf(answer)) };
}

/** A session that was opened before, here or elsewhere. Throws RegistryError `untrusted-host` for one that is not this registry's. */
export function continueUpload(requests: RepositoryRequests, location: string): Upload {
  const { host, repository, site } = requests.context;
  const doing = `cannot go on uploading to ${host}/${repository}`;
  const there = { header: (name: string) => (name === 'location' ? location : undefined) };
  return new UploadSession(requests, locationOf(requests, there, site.base, doing), doing, 0);
}

/** `OCI-Chunk-Min-Length` (distribution spec, chunked push); 0 when the registry does not care. */
function chunkMinOf(answer: { header(name: string): string | undefined }): number {
  const text = answer.header('oci-chunk-min-length') ?? '';
  return /^\d{1,15}$/.test(text) ? Number(text) : 0;
}

class UploadSession implements Upload {
  readonly chunkMinBytes: number;
  readonly #requests: RepositoryRequests;
  readonly #doing: string;
  #location: URL;

  constructor(requests: RepositoryRequests, location: URL, doing: string, chunkMinBytes: number) {
    this.chunkMinBytes = chunkMinBytes;
    this.#requests = requests;
    this.#location = location;
    this.#doing = doing;
  }

  get location(): string {
    return this.#location.href;
  }

  async write(
    source: (sink: ByteSink) => Promise<void>,
    offset: number,
    length: number,
    signal?: AbortSignal,
  ): Promise<void> {
    const answer = await this.#requests.write(this.#call(signal), {
      method: 'PATCH',
      url: this.#location,
      headers: { 'content-type': 'application/octet-stream', 'content-range': `${offset}-${offset + length - 1}` },
      body: { length, source },
      signal,
    });
    if (answer.status !== 202 && answer.status !== 201) throw await this.#requests.failure(this.#doing, answer);
    this.#location = locationOf(this.#requests, answer, this.#location, this.#doing);
    answer.discard();
  }

  async putWhole(
    source: (sink: ByteSink) => Promise<void>,
    length: number,
    digest: string,
    signal?: AbortSignal,
  ): Promise<void> {
    const answer = await this.#requests.write(this.#call(signal), {
      method: 'PUT',
      url: this.#withDigest(digest),
      headers: { 'content-type': 'application/octet-stream' },
      body: { length, source },
      signal,
    });
    if (answer.status !== 201 && answer.status !== 204) throw await this.#requests.failure(this.#doing, answer);
    answer.discard();
  }

  commit(digest: string, signal?: AbortSignal): Promise<void> {
    return this.putWhole(() => Promise.resolve(), 0, digest, signal);
  }

  async offset(signal?: AbortSignal): Promise<number> {
    const answer = await this.#requests.send(this.#call(signal), { method: 'GET', url: this.#location, headers: {} });
    if (answer.status !== 204 && answer.status !== 202) throw await this.#requests.failure(this.#doing, answer);
    answer.discard();
    this.#location = locationOf(this.#requests, answer, this.#location, this.#doing);
    const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(answer.header('range') ?? '')?.[1];
    // `0-0` is what Distribution says of an empty session; a session of one byte is written again, which is the cheaper mistake.
    return last === undefined || last === '0' ? 0 : Number(last) + 1;
  }

  async abort(): Promise<void> {
    try {
      const signal = AbortSignal.timeout(ABORT_MS);
      const answer = await this.#requests.send(this.#call(signal), {
        method: 'DELETE',
        url: this.#location,
        headers: {},
      });
      answer.discard();
    } catch {
      // The registry drops sessions that nobody finishes; there is nothing else to do about it.
    }
  }

  #withDigest(digest: string): URL {
    const url = new URL(this.#location);
    url.searchParams.set('digest', digest);
    return url;
  }

  #call(signal: AbortSignal | undefined) {
    return { operation: 'upload', need: PUSH, signal } as const;
  }
}

/** The session's next URL; a foreign host never gets our credentials or bytes. */
function locationOf(
  requests: RepositoryRequests,
  answer: { header(name: string): string | undefined },
  current: URL,
  doing: string,
): URL {
  const text = answer.header('location');
  if (text === undefined) return current;
  if (!URL.canParse(text, current.href))
    throw new RegistryError('invalid-response', `${doing}: the upload's location is no URL`);
  const location = new URL(text, current);
  const { base, endpoint } = requests.context.site;
  if (sameTrust(base, location, endpoint)) return location;
  throw new RegistryError(
    'untrusted-host',
    `${doing}: the registry wants the bytes sent to ${describeUrl(location)}, which is not of its trust`,
  );
}
