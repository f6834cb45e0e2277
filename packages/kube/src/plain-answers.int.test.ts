import { inspect } from 'node:util';
import { afterEach, describe, expect, it } from '@jest/globals';
import { createKubeClient } from './client.ts';
import type { KubeCall, KubeClient } from './port.ts';
import { NODES, PODS } from './resources.ts';
import {
  answer,
  node,
  nodeList,
  scriptedServer,
  type Handler,
  type ScriptedServer,
} from './testing/scripted-server.ts';

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each[Symbol.asyncDispose]();
});

async function serve(
  handler: Handler,
  user?: object,
  options: object = {},
): Promise<{ server: ScriptedServer; client: KubeClient; calls: KubeCall[] }> {
  const server = await scriptedServer(handler);
  const calls: KubeCall[] = [];
  const client = createKubeClient({
    kubeconfig: await server.kubeconfig(user),
    onCall: (call) => calls.push(call),
    ...options,
  });
  open.push(server, { [Symbol.asyncDispose]: () => client.close() });
  return { server, client, calls };
}

describe('the client, where the library of the ecosystem goes wrong', () => {
  it('speaks plain http to loopback without skipTLSVerify', async () => {
    const { client } = await serve((_, response) => answer(response, nodeList('5', ['a'])));
    expect((await client.list(NODES)).items).toHaveLength(1);
  });

  it('reads an answer without Content-Type, and leaves dates the strings they are', async () => {
    const { client } = await serve((_, response) => {
      response.end(
        JSON.stringify({
          metadata: { name: 'a', uid: 'u', resourceVersion: '5', creationTimestamp: '2026-01-02T03:04:05Z' },
        }),
      );
    });
    expect((await client.get(NODES, { name: 'a' })).metadata.creationTimestamp).toBe('2026-01-02T03:04:05Z');
  });

  it('quotes nothing of an answer that is not JSON: it may be a Secret', async () => {
    const { client } = await serve((_, response) => void response.end('{"data":hunter2}'));
    const error = await client.get(NODES, { name: 'a' }).catch((thrown: unknown) => thrown);
    expect(inspect(error, { depth: 9 })).toContain('is not JSON (16 characters)');
    expect(inspect(error, { depth: 9 })).not.toContain('hunter');
  });

  it('sends each write with its own media type', async () => {
    const { server, client } = await serve((_, response) => answer(response, node('a', '5')));
    await client.create(NODES, {});
    await client.mergePatch(NODES, { name: 'a' }, {});
    await client.apply(NODES, { name: 'a' }, {}, { fieldManager: 'm', subresource: 'status' });
    await client.delete(NODES, { name: 'a' });
    await client.raw('PUT', '/api/v1/nodes/a', {}, { contentType: 'application/x-own' });
    expect(server.requests.map(({ method, headers }) => `${method} ${headers['content-type']}`)).toEqual([
      'POST application/json',
      'PATCH application/merge-patch+json',
      'PATCH application/apply-patch+yaml',
      'DELETE application/json',
      'PUT application/x-own',
    ]);
    const { path, query, headers } = server.requests[2]!;
    expect([path, query.get('fieldManager'), query.get('force')]).toEqual(['/api/v1/nodes/a/status', 'm', 'true']);
    expect(headers['user-agent']).toBe('kube-image-keeper');
  });

  it('says what was answered that is no JSON', async () => {
    const { client } = await serve(({ path }, response) => {
      if (path.endsWith('/nodes')) return void response.end('<html>');
      response.writeHead(502).end('<html>Bad Gateway\n');
    });
    await expect(client.list(NODES)).rejects.toMatchObject({
      code: 'unexpected',
      message: expect.stringContaining('is not JSON') as unknown,
    });
    await expect(client.list(PODS)).rejects.toMatchObject({
      code: 'unavailable',
      status: 502,
      message: 'cannot list pods: <html>Bad Gateway; the server is starting, stopping or overloaded: try again',
    });
  });

  it.each([
    ['head', () => undefined],
    ['body', (response: Parameters<Handler>[1]) => void response.write('{')],
  ])('bounds the time of a call that hangs in its %s', async (_, hang) => {
    const { client, calls } = await serve((_request, response) => hang(response), {}, { timeoutMs: 150 });
    const startedAt = performance.now();
    await expect(client.list(NODES)).rejects.toMatchObject({
      code: 'timeout',
      retry: true,
      message: expect.stringContaining('no answer for 150 ms') as unknown,
    });
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(145);
    await expect(client.get(NODES, { name: 'a' }, { timeoutMs: 50 })).rejects.toMatchObject({
      message: expect.stringContaining('50 ms') as unknown,
    });
    expect(calls.map(({ verb, status }) => [verb, status])).toEqual([
      ['list', 'timeout'],
      ['get', 'timeout'],
    ]);
  });

  it('bounds the time that a call waits for a socket', async () => {
    const { server, client } = await serve(() => undefined, {}, { timeoutMs: 150, maxSockets: 1 });
    const ends = await Promise.allSettled([client.list(NODES), client.list(NODES), client.list(NODES)]);
    expect(ends.map((end) => end.status === 'rejected' && (end.reason as { code: string }).code)).toEqual([
      'timeout',
      'timeout',
      'timeout',
    ]);
    expect(server.requests.length).toBeLessThanOrEqual(1);
  });

  it('ends a call when its caller does', async () => {
    const ending = new AbortController();
    const { client } = await serve(() => ending.abort());
    await expect(client.list(NODES, { signal: ending.signal })).rejects.toMatchObject({ code: 'aborted' });
  });

  it('tries a write once, a read again when its kept-alive socket had died', async () => {
    let kept = 0;
    const { server, client } = await serve(({ method, path }, response) => {
      if (path.endsWith('/dying') && (method === 'POST' || kept++ === 0)) return void response.destroy();
      answer(response, node('a', '5'));
    });
    expect((await client.get(NODES, { name: 'dying' })).metadata.name).toBe('a');
    await expect(client.raw('POST', '/dying', {})).rejects.toMatchObject({ code: 'unavailable', retry: true });
    expect(server.requests.map(({ method }) => method)).toEqual(['GET', 'GET', 'POST']);
  });

  it('shows each token it has, and a refused one only once', async () => {
    const { server, client } = await serve((_, response) => answer(response, { message: 'Unauthorized' }, 401), {
      token: 'old',
    });
    await expect(client.list(NODES)).rejects.toMatchObject({ code: 'unauthorized' });
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer old']);
  });
});
