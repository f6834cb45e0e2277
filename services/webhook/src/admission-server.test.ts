import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import { connect } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { DEFAULTS } from '@kuik/contracts';
import { createAuthority, issueCertificate } from '@kuik/runtime';
import { admit, type Admission } from './admit.ts';
import { AdmissionServer } from './admission-server.ts';
import { deciderOf, podOf, requestOf, reviewOf } from './fixtures.ts';
import type { AdmissionRequest } from './review.ts';

const authority = createAuthority({ commonName: 'test', days: 2, now: new Date() });
const certificateFor = (commonName: string) => {
  const made = issueCertificate(authority, {
    commonName,
    days: 1,
    now: new Date(),
    hosts: ['127.0.0.1'],
    usages: ['server'],
  });
  return { key: made.privateKey, certificate: made.certificate };
};
const decider = deciderOf();

let fault: Error | undefined;
const answered: Admission[] = [];
const failed: string[] = [];
const refused: number[] = [];
const options = {
  host: '127.0.0.1',
  port: 0,
  bodyLimitBytes: DEFAULTS.listen.bodyLimitBytes,
  admit(request: AdmissionRequest) {
    if (fault !== undefined) throw fault;
    return admit(request, decider);
  },
  onAnswered: (admission: Admission) => answered.push(admission),
  onFailed: (uid: string) => failed.push(uid),
  onRefused: (status: number) => refused.push(status),
  patience: { unusedMs: 60_000, bodyMs: 300, checkMs: 50 },
};
const server = new AdmissionServer(options);
const agent = new Agent({ ca: authority.certificate, keepAlive: true, maxSockets: 1 });

interface Call {
  method?: string;
  path?: string;
  headers?: Record<string, string>;
}
async function call(body: Buffer | string, options: Call = {}) {
  const request = httpsRequest({
    host: '127.0.0.1',
    port: server.port,
    path: '/mutate',
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    agent,
    ...options,
  });
  request.end(body);
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const json = JSON.parse(Buffer.concat(chunks).toString()) as {
    message?: string;
    response?: { uid: string; allowed: boolean; patchType?: string; patch?: string };
  };
  return { status: response.statusCode, headers: response.headers, json };
}

beforeAll(async () => {
  await server.start();
  expect(server.notReady()).toBe('no serving certificate yet');
  server.use(certificateFor('first'));
  expect(server.notReady()).toBeUndefined();
});
beforeEach(() => {
  fault = undefined;
  for (const list of [answered, failed, refused]) list.length = 0;
});
afterAll(async () => {
  agent.destroy();
  await server.close();
  await server.close();
});

describe('POST /mutate', () => {
  it('answers with the patch, and reports afterwards', async () => {
    const { status, json } = await call(reviewOf(requestOf(podOf())), { path: '/mutate?timeout=2s' });
    expect(status).toBe(200);
    expect(json).toMatchObject({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' });
    expect(json.response).toMatchObject({ uid: requestOf(null).uid, allowed: true, patchType: 'JSONPatch' });
    const patch = JSON.parse(Buffer.from(json.response!.patch!, 'base64').toString()) as { path: string }[];
    expect(patch.map(({ path }) => path)).toEqual([
      '/spec/containers/0/image',
      '/spec/containers/1/image',
      '/metadata/labels',
      '/metadata/annotations',
    ]);
    expect(answered).toHaveLength(1);
  });

  // The field is optional: only `true` is a dry run (kuik v2 answered 500 to a review without it).
  it.each<[string, unknown, boolean]>([
    ['without dryRun', undefined, true],
    ['with dryRun null', null, true],
    ['with dryRun false', false, true],
    ['with dryRun true', true, false],
  ])('rewrites the pod of a review %s', async (_, dryRun, hints) => {
    const review = reviewOf(requestOf(podOf(), { dryRun }));
    expect(review.includes('dryRun')).toBe(dryRun !== undefined);
    const { status, json } = await call(review);
    expect(status).toBe(200);
    expect(json.response).toMatchObject({ allowed: true, patch: expect.any(String) as unknown });
    expect(answered.map(({ hint }) => hint !== undefined)).toEqual([hints]);
    expect(failed).toEqual([]);
  });

  it('sends no patch when there is nothing to change', async () => {
    const { json } = await call(reviewOf(requestOf(podOf({ containers: [] }))));
    expect(json.response).toEqual({ uid: requestOf(null).uid, allowed: true });
  });

  it.each([null, 7, 'text', [], {}])('lets through what is no pod: %j', async (object) => {
    const { status, json } = await call(reviewOf(requestOf(object)));
    expect(status).toBe(200);
    expect(json.response).toEqual({ uid: requestOf(null).uid, allowed: true });
  });

  it('lets the pod through when the decision fails', async () => {
    fault = new Error('a bug of ours');
    const { status, json } = await call(reviewOf(requestOf(podOf())));
    expect(status).toBe(200);
    expect(json.response).toEqual({ uid: requestOf(null).uid, allowed: true });
    expect(failed).toEqual([requestOf(null).uid]);
  });

  it.each<[string, number, Buffer | string, Call]>([
    ['no review', 400, 'null', {}],
    ['a truncated one', 400, reviewOf(requestOf(podOf())).subarray(0, 99), {}],
    ['nothing', 400, '', {}],
    ['one without request', 400, reviewOf(undefined), {}],
    ['9 MB', 413, Buffer.alloc(9 * 1024 * 1024, 0x20), {}],
    ['another type', 415, reviewOf(requestOf(podOf())), { headers: { 'content-type': 'text/plain' } }],
    ['no type', 415, reviewOf(requestOf(podOf())), { headers: {} }],
    ['GET', 405, '', { method: 'GET' }],
    ['PUT', 405, '{}', { method: 'PUT' }],
    ['another path', 404, '{}', { path: '/other' }],
  ])('refuses %s with %i and a message, and works on', async (_, expected, body, options) => {
    const { status, json, headers } = await call(body, options);
    expect(status).toBe(expected);
    expect(json.message).toMatch(/\w+ \w+/);
    expect(headers.allow).toBe(expected === 405 ? 'POST' : undefined);
    expect(refused).toEqual([expected]);
    expect((await call(reviewOf(requestOf(podOf())))).status).toBe(200);
  });

  it('takes a content type with parameters', async () => {
    const headers = { 'content-type': 'application/json; charset=utf-8' };
    expect((await call(reviewOf(requestOf(podOf())), { headers })).status).toBe(200);
  });

  it('is not disturbed by clients that go away in the middle', async () => {
    const socket = connect({ host: '127.0.0.1', port: server.port, ca: authority.certificate });
    await once(socket, 'secureConnect');
    socket.write(
      'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"kind"',
    );
    socket.destroy();
    expect((await call(reviewOf(requestOf(podOf())))).status).toBe(200);
    expect(refused).toEqual([]);
  });

  /** A connection, and all that comes on it until it is closed. */
  async function open(port: number) {
    const socket = connect({ host: '127.0.0.1', port, ca: authority.certificate });
    await once(socket, 'secureConnect');
    const answer: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => answer.push(chunk));
    const ended = once(socket, 'close').then(() => Buffer.concat(answer).toString());
    return { socket, ended };
  }

  it('does not wait for ever for a client that never ends its body, and leaves a connection alone that is not used yet', async () => {
    const spare = await open(server.port);
    const { socket, ended } = await open(server.port);
    socket.write(
      'POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 900\r\n\r\n{"kind"',
    );
    expect(await ended).toMatch(/^HTTP\/1\.1 408 /);
    expect(refused).toEqual([408]);
    const body = reviewOf(requestOf(podOf()));
    spare.socket.write(
      `POST /mutate HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n`,
    );
    spare.socket.write(body);
    expect(await spare.ended).toMatch(/^HTTP\/1\.1 200 /);
  });

  it('does not wait for ever for a client that never ends its headers', async () => {
    const impatient = new AdmissionServer({ ...options, patience: { unusedMs: 300, bodyMs: 300, checkMs: 50 } });
    impatient.use(certificateFor('impatient'));
    await impatient.start();
    try {
      const { socket, ended } = await open(impatient.port);
      socket.write('POST /mutate HTTP/1.1\r\nhost: x\r\n');
      expect(await ended).toMatch(/^HTTP\/1\.1 408 /);
    } finally {
      await impatient.close();
    }
  });

  it('serves a new certificate to new connections, while old ones go on', async () => {
    const served = async () => {
      const socket = connect({ host: '127.0.0.1', port: server.port, ca: authority.certificate });
      await once(socket, 'secureConnect');
      const name = socket.getPeerCertificate().subject.CN;
      socket.destroy();
      return name;
    };
    expect(await served()).toBe('first');
    server.use(certificateFor('second'));
    expect(await served()).toBe('second');
    expect((await call(reviewOf(requestOf(podOf())))).status).toBe(200);
  });
});
