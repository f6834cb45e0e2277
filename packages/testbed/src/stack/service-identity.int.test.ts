import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SERVICES, type ServiceName } from '@kuik/contracts';
import type { Stack } from '../port.ts';
import { serviceIdentity } from './service-identity.ts';
import { leaseTestbed } from './stack.ts';

let stack: Stack;
beforeAll(async () => {
  stack = await leaseTestbed({ parts: ['controlPlane', 'nats', 'redis', 'cache', 'upstream'] });
});
afterAll(() => stack.stop());

describe('serviceIdentity', () => {
  it.each<[ServiceName, string[]]>([
    ['webhook', ['nkey']],
    ['pod-watcher', ['grants.crt', 'grants.key', 'nkey', 'redis-password']],
    ['image-copier', ['broker-token', 'nkey', 'readers.crt', 'redis-password', 'registry.crt', 'registry.key']],
    ['monitor', ['broker-token', 'nkey', 'redis-password']],
    ['gc', ['nkey', 'readers.crt', 'registry.crt', 'registry.key']],
    ['node-proxy', ['broker-token', 'grants.crt', 'nkey', 'registry.crt', 'registry.key']],
  ])('gives %s the files %j and no others, readable by their owner alone', async (service, files) => {
    const identity = await serviceIdentity(stack, service);
    expect(readdirSync(identity.folder).sort()).toEqual(files);
    for (const file of files) expect(statSync(path.join(identity.folder, file)).mode & 0o077).toBe(0);
    expect(identity.kubeconfig !== undefined).toBe(service !== 'node-proxy');
  });

  it('gives nobody a key of somebody else', async () => {
    const seeds = await Promise.all(
      SERVICES.map(async (service) => readFileSync((await serviceIdentity(stack, service)).nats!.nkeyFile, 'utf8')),
    );
    expect(new Set(seeds).size).toBe(SERVICES.length);
    const side = async (service: ServiceName): Promise<string | undefined> =>
      (await serviceIdentity(stack, service)).cache?.url;
    expect(await side('node-proxy')).toBe(stack.cache.readerUrl);
    expect(await side('image-copier')).toBe(stack.cache.writerUrl);
    expect(await side('webhook')).toBeUndefined();
  });

  it('binds the broker’s token to a pod on the node', async () => {
    const identity = await serviceIdentity(stack, 'node-proxy', { node: 'node-7' });
    const token = readFileSync(identity.brokerTokenFile!, 'utf8');
    const { status } = await stack.controlPlane.api.create<{ status: { user: { username: string; extra: object } } }>(
      '/apis/authentication.k8s.io/v1/tokenreviews',
      { spec: { token, audiences: ['kuik-broker'] } },
    );
    expect(status.user.username).toBe('system:serviceaccount:kuik-system:kuik-node-proxy');
    expect(status.user.extra).toMatchObject({ 'authentication.kubernetes.io/node-name': ['node-7'] });
  });

  it('gives only what the stack has', async () => {
    const identity = await serviceIdentity({}, 'image-copier');
    expect(Object.keys(identity).sort()).toEqual(['folder', 'service']);
  });
});
