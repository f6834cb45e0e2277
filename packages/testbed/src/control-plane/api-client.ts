import { Agent, request } from 'undici';
import type { ApiCall, ApiClient, ApiRefusal, KubeObject } from '../port.ts';
import { ResourcePaths } from './resource-paths.ts';

/** The API server refused a call; `status` and `reason` are its own. */
export class ApiError extends Error implements ApiRefusal {
  override readonly name = 'ApiError';
  readonly status: number;
  readonly reason: string;

  constructor(call: string, status: number, reason: string, message: string) {
    super(`${call}: ${status} ${reason}: ${message}`);
    this.status = status;
    this.reason = reason;
  }
}

/** Where the API server is and who calls. */
export interface ApiEndpoint {
  readonly url: string;
  readonly caPem: string;
  readonly certificatePem?: string;
  readonly privateKeyPem?: string;
}

/** JSON over HTTPS with a client certificate. */
export class TestApiClient implements ApiClient {
  readonly #url: string;
  readonly #agent: Agent;
  /** Without the certificate, which would win over a token. */
  readonly #tokenAgent: Agent;
  readonly #paths: ResourcePaths;

  constructor(endpoint: ApiEndpoint) {
    const { url, caPem, certificatePem, privateKeyPem } = endpoint;
    this.#url = url;
    const certificate = {
      ...(certificatePem ? { cert: certificatePem } : {}),
      ...(privateKeyPem ? { key: privateKeyPem } : {}),
    };
    this.#agent = new Agent({ connections: 16, connect: { ca: caPem, ...certificate } });
    this.#tokenAgent = new Agent({ connections: 4, connect: { ca: caPem } });
    this.#paths = new ResourcePaths((path) => this.get(path));
  }

  async request<T = KubeObject>(method: string, path: string, body?: unknown, options: ApiCall = {}): Promise<T> {
    const { statusCode, body: reply } = await request(this.#url + path, {
      method: method as 'GET',
      dispatcher: options.token ? this.#tokenAgent : this.#agent,
      headersTimeout: 30_000,
      headers: {
        accept: options.accept ?? 'application/json',
        ...(body === undefined ? {} : { 'content-type': options.contentType ?? 'application/json' }),
        ...(options.token ? { authorization: `Bearer ${options.token}` } : {}),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await reply.text();
    if (statusCode < 400) return parse(text) as T;
    const status = parse(text) as { reason?: string; message?: string };
    throw new ApiError(
      `${method} ${path}`,
      statusCode,
      status.reason ?? 'Unknown',
      status.message ?? text.slice(0, 500),
    );
  }

  get<T = KubeObject>(path: string): Promise<T> {
    return this.request<T>('GET', path);
  }

  async find<T = KubeObject>(path: string): Promise<T | undefined> {
    try {
      return await this.get<T>(path);
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async list<T = KubeObject>(path: string): Promise<T[]> {
    return (await this.get<{ items?: T[] }>(path)).items ?? [];
  }

  create<T = KubeObject>(path: string, object: unknown): Promise<T> {
    return this.request<T>('POST', path, object);
  }

  async apply<T = KubeObject>(
    object: KubeObject,
    options: { fieldManager?: string; subresource?: string; dryRun?: boolean } = {},
  ): Promise<T> {
    const path = await this.#paths.of(object);
    const query = new URLSearchParams({ force: 'true', fieldManager: options.fieldManager ?? 'testbed' });
    if (options.dryRun) query.set('dryRun', 'All');
    const suffix = options.subresource ? `/${options.subresource}` : '';
    return this.request<T>('PATCH', `${path}${suffix}?${query.toString()}`, object, {
      contentType: 'application/apply-patch+yaml',
    });
  }

  async delete(path: string): Promise<void> {
    try {
      await this.request('DELETE', path);
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  /** Closes its connections. */
  async close(): Promise<void> {
    await Promise.all([this.#agent.destroy(), this.#tokenAgent.destroy()]);
  }
}

function parse(text: string): unknown {
  if (!text.startsWith('{')) return text.startsWith('[') ? (JSON.parse(text) as unknown) : { message: text };
  return JSON.parse(text) as unknown;
}
