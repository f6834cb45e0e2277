import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createRegistryKey, leaseControlPlane, until, type ControlPlane } from '@kuik/testbed';
import { createKubeClient } from './client.ts';
import type { KubeCall } from './port.ts';
import { NAMESPACES, NODES, PODS } from './resources.ts';
import { countingRelay, type CountingRelay } from './testing/counting-relay.ts';
import { temporaryFolder, type TemporaryFolder } from './testing/temporary-folder.ts';

describe('the transport to the real API server', () => {
  let plane: ControlPlane;
  let relay: CountingRelay;
  let folder: TemporaryFolder;
  let kubeconfig: string;
  beforeAll(async () => {
    plane = await leaseControlPlane();
    relay = await countingRelay(Number(new URL(plane.url).port));
    folder = await temporaryFolder();
    kubeconfig = await through(plane.kubeconfig);
  }, 60_000);
  afterAll(async () => {
    await folder?.[Symbol.asyncDispose]();
    await relay?.[Symbol.asyncDispose]();
    await plane?.stop();
  });

  /** The same kubeconfig, by way of the relay. */
  async function through(file: string): Promise<string> {
    const text = await readFile(file, 'utf8');
    return folder.write(`${Math.random()}`, text.replaceAll(plane.url, `https://127.0.0.1:${relay.port}`));
  }

  it('makes 200 calls in a row over at most two connections, and closes them', async () => {
    const client = createKubeClient({ kubeconfig });
    const before = relay.made;
    for (let i = 0; i < 200; i++) await client.list(NAMESPACES);
    expect(relay.made - before).toBeLessThanOrEqual(2);
    expect(relay.open).toBeLessThanOrEqual(2);
    await client.close();
    await until(() => relay.open === 0, { what: 'closed connections' });
  });

  it('keeps to its sockets under 60 calls at once, and every call to its time', async () => {
    const client = createKubeClient({ kubeconfig, maxSockets: 3 });
    const before = relay.made;
    await Promise.all(Array.from({ length: 60 }, () => client.get(NAMESPACES, { name: 'default' })));
    expect(relay.made - before).toBeLessThanOrEqual(3);
    await client.close();
  });

  it('leaves the sockets of calls alone when many watch', async () => {
    const client = createKubeClient({ kubeconfig, maxSockets: 1 });
    const { resourceVersion } = await client.list(NODES);
    const ending = new AbortController();
    let open = 0;
    const watches = Array.from({ length: 5 }, async () => {
      const options = { resourceVersion, signal: ending.signal, onContact: () => void open++ };
      for await (const _ of client.watch(NODES, options));
    });
    const ended = Promise.allSettled(watches);
    await until(() => open >= 5, { what: 'five open watches' });
    expect((await client.get(NAMESPACES, { name: 'default' })).metadata.name).toBe('default');
    ending.abort();
    expect((await ended).map((each) => each.status === 'rejected' && (each.reason as { code: string }).code)).toEqual(
      Array<string>(5).fill('aborted'),
    );
    await client.close();
  });

  it('sends a read again when its kept-alive connection was cut, and comes back after an outage', async () => {
    const client = createKubeClient({ kubeconfig });
    await client.get(NAMESPACES, { name: 'default' });
    relay.cut();
    await expect(client.get(NAMESPACES, { name: 'default' }, { timeoutMs: 2_000 })).rejects.toMatchObject({
      code: 'unavailable',
      retry: true,
      message: expect.stringContaining('check that the API server is running') as unknown,
    });
    relay.mend();
    expect((await client.get(NAMESPACES, { name: 'default' })).metadata.name).toBe('default');
    await client.close();
  });

  it('fails as aborted after close', async () => {
    const client = createKubeClient({ kubeconfig });
    await client.get(NAMESPACES, { name: 'default' });
    await client.close();
    await expect(client.get(NAMESPACES, { name: 'default' })).rejects.toMatchObject({ code: 'aborted' });
  });

  it('refuses a server whose certificate its authority did not sign', async () => {
    const config = JSON.parse(await readFile(plane.kubeconfig, 'utf8')) as {
      clusters: [{ cluster: Record<string, string> }];
    };
    delete config.clusters[0].cluster['certificate-authority-data'];
    const client = createKubeClient({ kubeconfig: await folder.write('no-ca', JSON.stringify(config)) });
    await expect(client.list(NODES)).rejects.toMatchObject({
      code: 'unavailable',
      message: expect.stringContaining('check the certificate authority') as unknown,
    });
    await client.close();
  });

  it('says who may not do what to what, and how to allow it', async () => {
    await plane.serviceAccount('default', 'nobody');
    const client = createKubeClient({ kubeconfig: await plane.kubeconfigFor('default', 'nobody') });
    await expect(client.list(PODS, { namespace: 'default' })).rejects.toMatchObject({
      code: 'forbidden',
      retry: false,
      status: 403,
      message: expect.stringMatching(
        /^cannot list pods "default\/": .*system:serviceaccount:default:nobody.*; grant the service account "list" on pods/,
      ) as unknown,
    });
    await expect(
      client.apply(NODES, { name: 'node-1' }, {}, { fieldManager: 'x', subresource: 'status' }),
    ).rejects.toMatchObject({
      message: expect.stringContaining('grant the service account "patch" on nodes/status') as unknown,
    });
    await client.close();
  });

  it('says which collection the server does not serve', async () => {
    const client = createKubeClient({ kubeconfig });
    const foos = { group: 'no.such', version: 'v1', plural: 'foos', kind: 'Foo', namespaced: false };
    await expect(client.list(foos)).rejects.toMatchObject({
      code: 'not-found',
      message:
        'cannot list foos.no.such: 404 page not found; the API server does not serve foos.no.such: install its CRD',
    });
    await client.close();
  });

  it('reads again the token of a file that changed, and the cluster CA', async () => {
    await plane.namespace('rotating');
    await plane.api.create('/apis/rbac.authorization.k8s.io/v1/clusterrolebindings', {
      metadata: { name: 'rotating-view' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'cluster-admin' },
      subjects: [{ kind: 'ServiceAccount', namespace: 'rotating', name: 'default' }],
    });
    const tokenFile = await folder.write('token', 'not.a.token');
    const caFile = await folder.write('ca.crt', plane.caPem);
    const calls: KubeCall[] = [];
    const client = createKubeClient({
      inCluster: { server: `https://127.0.0.1:${relay.port}`, tokenFile, caFile },
      tokenMaxAgeMs: 60_000,
      onCall: (call) => calls.push(call),
    });
    await expect(client.list(NODES)).rejects.toMatchObject({ code: 'unauthorized', retry: true });
    await folder.write('token', `${await plane.token('rotating', 'default')}\n`);
    expect((await client.list(NODES)).items.length).toBeGreaterThan(0);
    expect(calls.map(({ verb, resource, status }) => [verb, resource, status])).toEqual([
      ['list', 'nodes', '401'],
      ['list', 'nodes', '200'],
    ]);
    await client.close();
  });

  it('takes up a client certificate that was renewed, on new connections', async () => {
    const config = JSON.parse(await readFile(kubeconfig, 'utf8')) as { users: [{ user: Record<string, string> }] };
    const good = config.users[0].user;
    const decoded = (field: string) => Buffer.from(good[field] ?? '', 'base64').toString('utf8');
    const strange = createRegistryKey('somebody');
    const certificate = await folder.write('client.crt', strange.certificate);
    const key = await folder.write('client.key', strange.privateKey);
    config.users[0].user = { 'client-certificate': certificate, 'client-key': key };
    const client = createKubeClient({ kubeconfig: await folder.write('by-files', JSON.stringify(config)) });
    await expect(client.list(NODES)).rejects.toMatchObject({ code: 'unauthorized' });
    await folder.write('client.crt', decoded('client-certificate-data'));
    await folder.write('client.key', decoded('client-key-data'));
    expect((await client.list(NODES)).items.length).toBeGreaterThan(0);
    await client.close();
  });

  it('names node and pod of a bound token', async () => {
    await plane.namespace('bound');
    await plane.serviceAccount('bound', 'proxy');
    const pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'proxy-1', namespace: 'bound' },
      spec: { serviceAccountName: 'proxy', containers: [{ name: 'c', image: 'i' }] },
    };
    await plane.api.create('/api/v1/namespaces/bound/pods', pod);
    await plane.bindPod('bound', 'proxy-1');
    const token = await plane.token('bound', 'proxy', { pod: 'proxy-1', audiences: ['kuik-broker'] });
    const client = createKubeClient({ kubeconfig });
    expect(await client.tokenReview(token, ['kuik-broker'])).toEqual({
      authenticated: true,
      username: 'system:serviceaccount:bound:proxy',
      nodeName: 'node-1',
      podName: 'proxy-1',
      audiences: ['kuik-broker'],
    });
    expect(await client.tokenReview(token, ['somebody-else'])).toMatchObject({ authenticated: false });
    expect(await client.tokenReview('nonsense', ['kuik-broker'])).toMatchObject({ authenticated: false });
    await client.close();
  });

  it('logs in with an exec plugin, which is run once', async () => {
    await plane.namespace('plugin');
    const token = await plane.token('plugin', 'default');
    const ran = await folder.write('ran', '');
    const credential = { apiVersion: 'client.authentication.k8s.io/v1', kind: 'ExecCredential', status: { token } };
    const script = await folder.write(
      'plugin.mjs',
      `import { appendFileSync } from 'node:fs';
       appendFileSync(${JSON.stringify(ran)}, 'x');
       console.log(${JSON.stringify(JSON.stringify(credential))});`,
    );
    const config = JSON.parse(await readFile(kubeconfig, 'utf8')) as { users: [{ user: object }] };
    config.users[0].user = {
      exec: {
        apiVersion: 'client.authentication.k8s.io/v1',
        command: process.execPath,
        args: [script],
        interactiveMode: 'Never',
      },
    };
    const client = createKubeClient({
      kubeconfig: await folder.write('exec', JSON.stringify(config)),
      tokenMaxAgeMs: 0,
    });
    for (let i = 0; i < 3; i++) {
      await expect(client.list(PODS)).rejects.toMatchObject({
        code: 'forbidden',
        message: expect.stringContaining('system:serviceaccount:plugin:default') as unknown,
      });
    }
    expect(await readFile(ran, 'utf8')).toBe('x');
    await client.close();
  });
});
