import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createKubeClient, PODS, type KubeClient } from '@kuik/kube';
import {
  makeCertificates,
  makeIndex,
  pushImage,
  runSkopeo,
  startUpstreamRegistry,
  type PushedImage,
  type UpstreamRegistry,
} from '@kuik/testbed';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { stringify } from 'yaml';
import { clusterWorld, readyImage, type ClusterPod } from './cluster/cluster-world.ts';
import { pullWithSkopeo } from './stack/skopeo.ts';
import { StartProcess } from './start-process.fixture.ts';
import { pod } from './story/pods.ts';

const OPEN = 'open.example.test/team/app:1';
const PRIVATE = 'private.example.test/team/secret:2';
const USER = { name: 'somebody', password: 'correct horse' };
/** bcrypt of that password: registries take nothing else. */
const HTPASSWD = `${USER.name}:$2b$04$w4isJnYupJk7FnLN2CZSJO/YVeEeVwGlsdL.O4D6fv6YMYqvACIDa`;

let folder: string;
let open: UpstreamRegistry;
let closed: UpstreamRegistry;
let pushed: PushedImage;
let start: StartProcess | undefined;
let kube: KubeClient | undefined;
let proxy: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'kuik-own-'));
  const authority = await makeCertificates();
  writeFileSync(path.join(folder, 'ca.crt'), authority.ca);
  open = await startUpstreamRegistry({ name: 'own-open' });
  const certificate = await authority.certificate('private.example.test');
  closed = await startUpstreamRegistry({ name: 'own-private', certificate, htpasswd: HTPASSWD });
  pushed = await pushImage(open.url, 'team/app', ['1'], await makeIndex({ seed: 'own', layers: [300_000] }));
  await runSkopeo([
    ...['copy', '--quiet', '--all', '--preserve-digests', '--src-tls-verify=false'],
    ...['--dest-cert-dir', folder, '--dest-creds', `${USER.name}:${USER.password}`],
    `docker://${open.host}/team/app:1`,
    `docker://${closed.host}/team/secret:2`,
  ]);
  const file = path.join(folder, 'registries.yaml');
  const registries = {
    'open.example.test': { address: open.host, plainHTTP: true },
    'private.example.test': { address: closed.host, caFile: 'ca.crt' },
  };
  writeFileSync(file, stringify(registries));
  start = new StartProcess(['--upstream', 'none', '--registries', file]);
  await start.says('The stack stays up', 60_000);
  const env = start.environment();
  kube = createKubeClient({ kubeconfig: env.get('KUBECONFIG')! });
  proxy = new URL(env.get('PROXY_URL')!).host;
});
afterAll(async () => {
  await kube?.close();
  await start?.stop();
  await Promise.all([open?.stop(), closed?.stop()]);
  rmSync(folder, { recursive: true, force: true });
});

/** What a person does with kubectl: a pod, of a private image with the pull secret that it names. */
async function use(image: string, pullSecret?: string): Promise<string | undefined> {
  const object = pod(pullSecret ?? 'plain', [{ name: 'app', image }]);
  if (pullSecret !== undefined) object.spec['imagePullSecrets'] = [{ name: pullSecret }];
  const world = clusterWorld(kube!, { namespace: 'default', proxyPrefix: proxy, patienceMs: 20_000 });
  const admitted = await kube!.create<ClusterPod>(PODS, object, { namespace: 'default' });
  expect(admitted.spec.containers[0]!.image).toBe(`${proxy}/${image}`);
  return (await readyImage(world, image)).status?.cache?.digest;
}

describe("npm start -- --upstream none, with a person's own registries", () => {
  it('names them, and what to do next', () => {
    expect(start!.output).toContain(`Your registry open.example.test is at ${open.host}.`);
    expect(start!.output).toContain(`Your registry private.example.test is at ${closed.host}.`);
    expect(start!.output).toContain(`docker://${proxy}/open.example.test/`);
    expect(start!.output).not.toContain('The story');
  });

  it('copies what a pod uses: over plain HTTP, and by TLS of a private authority with a name and a password', async () => {
    const login = Buffer.from(`${USER.name}:${USER.password}`).toString('base64');
    const config = JSON.stringify({ auths: { 'private.example.test': { auth: login } } });
    await kube!.raw('POST', '/api/v1/namespaces/default/secrets', {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'private' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': config },
    });
    expect(await use(OPEN)).toBe(pushed.digest);
    expect(await use(PRIVATE, 'private')).toBe(pushed.digest);
  });

  it('serves both to skopeo, and goes on when the registries are gone', async () => {
    for (const reference of [OPEN, PRIVATE])
      expect((await pullWithSkopeo(proxy, reference, { all: true })).digest).toBe(pushed.digest);
    await Promise.all([open.kill(), closed.kill()]);
    for (const reference of [OPEN, PRIVATE])
      expect((await pullWithSkopeo(proxy, reference, { all: true })).digest).toBe(pushed.digest);
  });

  it('ends in order with Ctrl-C', async () => {
    expect(await start!.interrupt()).toBe(0);
    expect(start!.output).toContain('everything stopped');
  });
});
