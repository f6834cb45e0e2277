import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { IMAGE_USED, readPullGrant, grantCheckingKey } from '@kuik/contracts';
import { DEPLOYMENTS, type KubeObject, SECRETS, SERVICE_ACCOUNTS } from '@kuik/kube';
import { createAuthority } from '@kuik/runtime';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { secretVerdict } from './pull-secret-verdict.ts';
import { NOW } from './testing/objects.ts';
import { createWorld, eventually } from './testing/world.ts';

const HALF = 'kuik.enix.io/renew-after';
const KEY = 'kuik.enix.io/grant-key';
const ours = (annotations: Record<string, string>, by = 'kuik-pod-watcher') =>
  ({ metadata: { labels: { 'app.kubernetes.io/managed-by': by }, annotations } }) as unknown as KubeObject;
const at = (ms: number): string => new Date(NOW + ms).toISOString();

it.each([
  ['none', undefined, { do: 'write', why: 'missing' }],
  ['one of somebody else', ours({ [KEY]: 'k', [HALF]: at(1) }, 'Helm'), { do: 'leave' }],
  ['one of another key', ours({ [KEY]: 'old', [HALF]: at(1) }), { do: 'write', why: 'other key' }],
  ['one that is due', ours({ [KEY]: 'k', [HALF]: at(0) }), { do: 'write', why: 'due' }],
  ['one that does not say', ours({ [KEY]: 'k' }), { do: 'write', why: 'due' }],
  ['a good one', ours({ [KEY]: 'k', [HALF]: at(1000) }), { do: 'keep', untilMs: NOW + 1000 }],
])('secretVerdict of %s', (_what, found, expected) => expect(secretVerdict(found, 'k', NOW)).toEqual(expected));

interface Secret extends KubeObject {
  type: string;
  data: Record<string, string>;
}

describe('PullGrantWriter', () => {
  const pair = createAuthority({ commonName: 'kuik-grants', days: 1, now: new Date() });
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-grants-'));
  const keyFile = path.join(folder, 'grants.key');
  const certificateFile = path.join(folder, 'grants.crt');
  let world: ReturnType<typeof createWorld>;
  beforeEach(() => {
    writeFileSync(keyFile, pair.privateKey);
    writeFileSync(certificateFile, pair.certificate);
    world = grantingFor('1h');
  });
  afterEach(async () => {
    await world.close();
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const grantingFor = (grantFor: string) => {
    const created = createWorld({
      KUIK_PRIVATE_IMAGES_KEY_FILE: keyFile,
      KUIK_PRIVATE_IMAGES_CERTIFICATE_FILE: certificateFile,
      KUIK_PRIVATE_IMAGES_GRANT_FOR: grantFor,
    });
    for (const name of ['default', 'robot'])
      created.kube.put<KubeObject>(SERVICE_ACCOUNTS, { metadata: { name, namespace: 'shop', uid: `uid-${name}` } });
    return created;
  };
  const account = (name: string) => world.kube.find<KubeObject>(SERVICE_ACCOUNTS, { namespace: 'shop', name })!;
  const found = (name: string) => world.kube.find<Secret>(SECRETS, { namespace: 'shop', name });
  const grantOf = (secret: Secret) => {
    const { auths } = JSON.parse(Buffer.from(secret.data['.dockerconfigjson']!, 'base64').toString()) as {
      auths: Record<string, { auth: string }>;
    };
    const [[prefix, { auth }]] = Object.entries(auths) as [[string, { auth: string }]];
    const [user, password] = Buffer.from(auth, 'base64').toString().split(':') as [string, string];
    return { prefix, user, grant: readPullGrant(password, grantCheckingKey(pair.certificate), Date.now()) };
  };
  const usedBy = (name: string, serviceAccountName: string): void =>
    world.pod(name, 'localhost:7439/registry.example.test/shop:1.0', {
      metadata: { name, namespace: 'shop' },
      spec: { serviceAccountName, imagePullSecrets: [{ name: `kuik-pull-${serviceAccountName}` }] },
    });

  it('writes what admission named, at once and for pods that are there; signed, and owned by the service account', async () => {
    usedBy('web', 'default');
    await world.replica().start();
    const secret = await eventually('the secret of the pod', () => found('kuik-pull-default'));
    expect(secret).toMatchObject({
      type: 'kubernetes.io/dockerconfigjson',
      metadata: {
        ownerReferences: [{ kind: 'ServiceAccount', name: 'default', uid: account('default').metadata.uid }],
      },
    });
    expect(grantOf(secret)).toMatchObject({
      prefix: 'localhost:7439',
      user: 'kuik',
      grant: { namespace: 'shop', serviceAccount: 'default' },
    });
    const hint = { namespace: 'shop', serviceAccount: 'robot', pullSecrets: [], images: [], requestId: 'r' };
    world.bus().publish(IMAGE_USED, hint);
    await eventually('the secret of the hint', () => found('kuik-pull-robot'));
  });

  it('writes it for the pods that a template will have, before there is one', async () => {
    const deployment = (name: string, image: string) => ({
      metadata: { name, namespace: 'shop', uid: name },
      spec: { template: { spec: { serviceAccountName: name, containers: [{ name: 'app', image }] } } },
    });
    world.kube.put<KubeObject>(DEPLOYMENTS, deployment('default', 'registry.example.test/shop:1.0'));
    world.kube.put<KubeObject>(DEPLOYMENTS, deployment('robot', 'no image at all'));
    await world.replica().start();
    const secret = await eventually('the secret of the template', () => found('kuik-pull-default'));
    expect(grantOf(secret)).toMatchObject({ grant: { namespace: 'shop', serviceAccount: 'default' } });
    expect(found('kuik-pull-robot')).toBeUndefined();
  });

  it('leaves what somebody else made, and writes nothing for an account that is not there', async () => {
    world.kube.put<KubeObject>(SECRETS, {
      metadata: { name: 'kuik-pull-robot', namespace: 'shop' },
    });
    usedBy('a', 'robot');
    usedBy('b', 'nobody');
    usedBy('c', 'default');
    const replica = world.replica();
    await replica.start();
    const text = async () => (await fetch(`http://127.0.0.1:${replica.healthPort}/metrics`)).text();
    const told = await eventually('all three looked at', async () => {
      const said = await text();
      return ['foreign', 'gone', 'written'].every((result) => said.includes(`{result="${result}"`)) ? said : undefined;
    });
    expect(told).toMatch(/kuik_pull_grants_total\{result="written"[^}]*\} 1/);
    expect(found('kuik-pull-robot')).not.toHaveProperty('data');
    expect(found('kuik-pull-nobody')).toBeUndefined();
  });

  it('writes anew what another key signed', async () => {
    const labels = { 'app.kubernetes.io/managed-by': 'kuik-pod-watcher' };
    const metadata = { name: 'kuik-pull-default', namespace: 'shop', labels, annotations: { [KEY]: 'old' } };
    world.kube.put<KubeObject>(SECRETS, { metadata });
    usedBy('web', 'default');
    await world.replica().start();
    const secret = await eventually('the new grant', () => {
      const now = found('kuik-pull-default');
      return now?.data === undefined ? undefined : now;
    });
    expect(grantOf(secret).grant).not.toHaveProperty('mistake');
  });

  it('renews it at half of its life, while a pod shows it', async () => {
    await world.close();
    world = grantingFor('2s');
    usedBy('web', 'default');
    await world.replica().start();
    const lifeOf = (secret: Secret) => {
      const { grant } = grantOf(secret);
      if ('mistake' in grant) throw new Error(grant.mistake);
      // What a reader allows for clocks that differ is no part of its life.
      return { halfMs: Date.parse(secret.metadata.annotations![HALF]!), endMs: grant.expiresAtMs - 60_000 };
    };
    const first = lifeOf(await eventually('the first grant', () => found('kuik-pull-default')));
    // Half of two seconds, less what is left out since an end is told in whole seconds.
    expect(first.endMs - first.halfMs).toBeGreaterThan(0);
    expect(first.endMs - first.halfMs).toBeLessThan(1_100);
    const later = await eventually('a later grant', () => {
      const secret = found('kuik-pull-default')!;
      return lifeOf(secret).endMs > first.endMs ? secret : undefined;
    });
    expect(lifeOf(later).halfMs).toBeGreaterThanOrEqual(first.halfMs + 1000);
  });
});
