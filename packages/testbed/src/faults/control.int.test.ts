import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { UpstreamRegistry } from '../port.ts';
import { startUpstreamRegistry } from '../stack/upstream-registry.ts';
import { startFaultProxy, type FaultProxy } from './index.ts';
import { raw } from './raw-client.fixture.ts';

let registry: UpstreamRegistry;
let faults: FaultProxy;

beforeAll(async () => {
  registry = await startUpstreamRegistry();
  faults = await startFaultProxy({ backingUrl: registry.url, hosts: ['docker.io'] });
});
afterAll(async () => {
  await faults.close();
  await registry.stop();
});
beforeEach(() => faults.reset());

const control = async (method: string, at: string, body?: unknown): Promise<{ status: number; json: unknown }> => {
  const answer = await raw(`${faults.controlUrl}${at}`, {
    method,
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = answer.body.toString();
  return { status: answer.status, json: text.startsWith('{') || text.startsWith('[') ? JSON.parse(text) : text };
};
const ping = (): Promise<number> => raw(`${faults.host('docker.io').url}/v2/`).then(({ status }) => status);

describe('the control endpoint', () => {
  it('makes, shows and removes rules', async () => {
    const made = await control('POST', '/rules', {
      host: 'docker.io',
      match: { kind: 'ping' },
      fault: { do: 'answer', status: 503 },
      times: 5,
    });
    expect(made).toEqual({ status: 201, json: { id: expect.stringMatching(/^r\d+$/) } });
    const { id } = made.json as { id: string };
    expect(await ping()).toBe(503);
    expect((await control('GET', '/rules')).json).toMatchObject([{ rule: { id, times: 5 }, applied: 1 }]);
    expect((await control('DELETE', `/rules/${id}`)).status).toBe(204);
    expect((await control('DELETE', `/rules/${id}`)).status).toBe(404);
    expect(await ping()).toBe(200);
  });

  it('removes the rules of one host, or all', async () => {
    for (const host of ['docker.io', 'quay.io'])
      await control('POST', '/rules', { host, fault: { do: 'answer', status: 500 } });
    await control('DELETE', '/rules?host=quay.io');
    expect((await control('GET', '/rules')).json).toHaveLength(1);
    await control('DELETE', '/rules');
    expect(await ping()).toBe(200);
  });

  it.each([
    ['a rule that is none', 'POST', '/rules', { host: 'a', fault: { do: 'no' } }, 400, 'rule.fault.do must be one of'],
    [
      'a policy that is none',
      'PUT',
      '/hosts/docker.io/auth',
      { scheme: 'ntlm' },
      400,
      'auth.scheme must be basic or bearer',
    ],
    ['an unknown path', 'POST', '/rule', {}, 404, 'GET / tells what there is'],
    ['no JSON', 'POST', '/rules', undefined, 400, 'JSON'],
  ])('%s is told so', async (_, method, at, body, status, message) => {
    const answer = await control(method, at, body);
    expect([answer.status, (answer.json as { error: string }).error]).toEqual([
      status,
      expect.stringContaining(message),
    ]);
  });

  it('counts, forgets, and shows the last requests', async () => {
    await ping();
    expect((await control('GET', '/counts?kind=ping')).json).toMatchObject({
      total: { requests: 1 },
      rows: [{ status: 200 }],
    });
    expect((await control('GET', '/counts?status=404')).json).toMatchObject({ total: { requests: 0 } });
    expect((await control('GET', '/requests?host=docker.io')).json).toMatchObject([{ path: '/v2/', auth: 'none' }]);
    await control('DELETE', '/counts');
    expect((await control('GET', '/counts')).json).toMatchObject({ total: { requests: 0 } });
  });

  it('takes a host down and up, guards it and opens it', async () => {
    await control('POST', '/hosts/docker.io/down');
    await expect(ping()).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    expect((await control('GET', '/hosts')).json).toContainEqual(
      expect.objectContaining({ name: 'docker.io', down: true }),
    );
    await control('POST', '/hosts/docker.io/up');
    await control('PUT', '/hosts/docker.io/auth', { scheme: 'bearer', users: [] });
    expect(await ping()).toBe(401);
    await control('DELETE', '/hosts/docker.io/auth');
    expect(await ping()).toBe(200);
    expect((await control('POST', '/hosts/new.example.test')).json).toMatchObject({
      name: 'new.example.test',
      url: expect.stringMatching(/^http:/),
    });
  });

  it('explains itself, and resets', async () => {
    expect((await control('GET', '/')).json).toContain('POST   /rules');
    await control('POST', '/rules', { host: '*', fault: { do: 'hang' } });
    await control('POST', '/reset');
    expect(await ping()).toBe(200);
  });
});
