import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  makeImage,
  startFakeEcr,
  until,
  type FakeEcr,
  type KubeObject,
  type PushedImage,
  type ServiceProcess,
} from '@kuik/testbed';
import { sized } from '@kuik/tooling';
import { ask, type Answer } from './behaviours/raw-client.ts';
import { leaseLocalParts, type LocalParts } from './stack/local-parts.ts';
import { readMetric } from './stack/metric.ts';
import { startReplicas } from './stack/start-replicas.ts';
import { cachedImages, untilReady } from './story/cached-images.ts';
import { pod, type Pod } from './story/pods.ts';
import { HOST } from './story/world.ts';

const ECR = '123456789012.dkr.ecr.eu-west-1.amazonaws.com';
/** Amazon's live for half a day. */
const LIFE_MS = sized({ usual: 500, full: 60_000 });
/** How long a login may be held. Proxies and copiers hold none that ends within 5 s: with short lives they ask each time, with real ones they hold what is renewed. */
const HELD = sized({ usual: '1s', full: '60s' });
const FORGOTTEN_MS = sized({ usual: 30_000, full: 90_000 });
const LIVES = 10;
const PULLERS = 4;
const TAGS = Array.from({ length: 40 }, (_, index) => `v${index}`);

/** A copy that takes more than two lives of a token: so many layers, one by one, each of which upstream sends after a tenth of a life. */
const LAYERS = 26;

let parts: LocalParts & { stop(): Promise<void> };
let ecr: FakeEcr;
let services: ServiceProcess[] = [];
let known: LocalParts;
let image: PushedImage;

beforeAll(async () => {
  [parts, ecr] = await Promise.all([leaseLocalParts(), startFakeEcr({ lifeMs: LIFE_MS })]);
  const { faults, controlPlane } = parts;
  await faults.addHost({ name: ECR, auth: ecr.auth });
  const users = [{ username: 'alice', password: 'pw' }];
  await faults.host(HOST).auth({ scheme: 'basic', users });
  const made = await makeImage({ seed: 'cloud-tokens', layers: [2_000] });
  image = await faults.push(ECR, 'team/app', TAGS, made);
  await faults.push(HOST, 'first/app', TAGS, made);
  // An identity as Amazon's own webhook would bring it, and times that are shorter than a cluster's.
  const environment = {
    AWS_ACCESS_KEY_ID: 'made-up',
    AWS_SECRET_ACCESS_KEY: 'made-up',
    KUIK_CREDENTIAL_PROVIDERS_ECR_ENDPOINT: ecr.url,
    KUIK_BROKER_SECRET_TTL: '100ms',
    KUIK_BROKER_HEADER_TTL: HELD,
    KUIK_RECONCILE_RESYNC: '2s',
  };
  known = { ...parts, facts: { ...parts.facts, registries: faults.registries() } };
  await controlPlane.namespace('first');
  const [watchers, proxies] = await Promise.all([
    startReplicas('pod-watcher', { ...known, environment }),
    startReplicas('node-proxy', known),
  ]);
  services = [...watchers, ...proxies];
}, 60_000);
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await Promise.all([parts?.stop(), ecr?.close()]);
});

/** A pod on the node, its image as the webhook would have written it. */
async function use(namespace: string, name: string, reference: string, spec: object = {}): Promise<void> {
  const wanted = pod(name, [{ name: 'app', image: `${parts.facts.proxyPrefix}/${reference}` }]);
  const metadata = { ...wanted.metadata, namespace };
  await parts.controlPlane.api.create<Pod>(`/api/v1/namespaces/${namespace}/pods`, {
    ...wanted,
    metadata,
    spec: { ...wanted.spec, ...spec },
  });
  await parts.controlPlane.bindPod(namespace, name);
}

const pull = (host: string, repository: string, what: string): Promise<Answer> =>
  ask(parts.facts.proxyPrefix, `/v2/${host}/${repository}/${what}`);
/** Requests that the registry refused although they brought a login. */
const refusedLogins = (): number =>
  parts.faults.log.requests({ host: ECR, status: 401 }).filter(({ auth }) => auth === 'basic').length;

describe('an image of a cloud registry, by the identity of the cluster alone', () => {
  it(
    'is pulled over ten lives of its tokens, and no pull sees a 401',
    async () => {
      await use('default', 'cloud', `${ECR}/team/app:v0`);
      // The vendor's library is loaded with the first pull, which may take longer than one of these short lives.
      await until(async () => (await pull(ECR, 'team/app', 'manifests/v0')).status === 200, {
        what: 'the first pull',
        timeoutMs: 30_000,
      });
      const before = ecr.issued.length;
      const end = Date.now() + LIVES * LIFE_MS;
      const answers: Answer[] = [];
      const pullers = Array.from({ length: PULLERS }, async (_, puller) => {
        for (let round = puller; Date.now() < end; round += PULLERS) {
          answers.push(await pull(ECR, 'team/app', `manifests/${TAGS[round % TAGS.length]!}`));
          for (const digest of Object.keys(image.blobs)) answers.push(await pull(ECR, 'team/app', `blobs/${digest}`));
        }
      });
      await Promise.all(pullers);
      expect(answers.length).toBeGreaterThan(LIVES);
      expect(answers.filter(({ status }) => status !== 200).map(({ status, text }) => [status, text])).toEqual([]);
      // Two brokers, each renewing at four fifths of a life; a refused login asks for another one at most every tenth of it.
      const issued = ecr.issued.length - before;
      expect(issued).toBeGreaterThanOrEqual(LIVES - 1);
      expect(issued).toBeLessThanOrEqual(2 * (LIVES / 0.8 + 2) + refusedLogins());
    },
    LIVES * LIFE_MS + 60_000,
  );

  it('is pulled on when every token is withdrawn before its time', async () => {
    expect((await pull(ECR, 'team/app', 'manifests/v1')).status).toBe(200);
    // A login that is refused within a tenth of its life is not asked for again yet: that is how a registry which refuses everything is met.
    await until(() => Date.now() - ecr.issued.at(-1)! > LIFE_MS / 10, {
      what: 'the last login to have been used a while',
    });
    ecr.revoke();
    expect((await pull(ECR, 'team/app', 'manifests/v2')).status).toBe(200);
  });

  it(
    'is copied with one login after the other, when that takes longer than each of them lives',
    async () => {
      const reference = `${ECR}/team/large:1`;
      const layers = Array.from({ length: LAYERS }, () => 500);
      const large = await parts.faults.push(ECR, 'team/large', ['1'], await makeImage({ seed: 'large', layers }));
      const slow = parts.faults
        .host(ECR)
        .on({ kind: 'blob', repository: 'team/large' })
        .latency(LIFE_MS / 10);
      const environment = { KUIK_COPY_BLOBS_PER_IMAGE: '1' };
      const [copier] = await startReplicas('image-copier', { ...known, environment }, { replicas: 1 });
      try {
        const [begun, issued] = [Date.now(), ecr.issued.length];
        await use('default', 'large', reference);
        const [copied] = await untilReady(parts.controlPlane.api, [reference], () => undefined, 4 * LIFE_MS + 60_000);
        expect(copied?.status?.cache).toMatchObject({ digest: large.digest, blobs: LAYERS + 1 });
        expect(Date.now() - begun).toBeGreaterThan(2 * LIFE_MS);
        expect(ecr.issued.length - issued).toBeGreaterThanOrEqual(2);
        const copies = (result: string) => readMetric(copier!.metricsUrl, 'kuik_copies_total', { result });
        expect(await copies('copied')).toBeGreaterThan(0);
        expect(await copies('failed')).toBe(0);
      } finally {
        slow.clear();
        await copier?.stop();
      }
    },
    4 * LIFE_MS + 90_000,
  );
});

describe('a pull secret', () => {
  const secrets = '/api/v1/namespaces/first/secrets';

  it(
    'of another pod on the node opens the image, and is forgotten with its namespace',
    async () => {
      const { api } = parts.controlPlane;
      const auth = Buffer.from('alice:pw').toString('base64');
      await api.create(secrets, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'regcred' },
        type: 'kubernetes.io/dockerconfigjson',
        stringData: { '.dockerconfigjson': JSON.stringify({ auths: { '*.example.test/first': { auth } } }) },
      });
      await use('first', 'owner', `${HOST}/first/app:v0`, { imagePullSecrets: [{ name: 'regcred' }] });
      await use('default', 'guest', `${HOST}/first/app:v0`);
      await until(async () => (await pull(HOST, 'first/app', 'manifests/v1')).status === 200, {
        what: 'the secret to count',
      });
      const named = async () =>
        (await cachedImages(api)).get(`${HOST}/first/app:v0`)?.status?.pullSecrets?.map(({ namespace }) => namespace) ??
        [];
      await until(async () => (await named()).includes('first'), { what: 'the resource to name the secret' });

      await api.request('DELETE', '/api/v1/namespaces/first/pods/owner', { gracePeriodSeconds: 0 });
      await api.delete(`${secrets}/regcred`);
      await forget('first');
      await until(async () => (await named()).length === 0, { what: 'the resource to name it no more' });
      await until(async () => (await pull(HOST, 'first/app', 'manifests/v2')).status === 401, {
        what: 'the login to be forgotten',
        timeoutMs: FORGOTTEN_MS,
      });
      expect((await pull(ECR, 'team/app', 'manifests/v3')).status).toBe(200);
    },
    60_000 + FORGOTTEN_MS,
  );

  /** There is no controller here that ends a namespace. */
  async function forget(name: string): Promise<void> {
    const { api } = parts.controlPlane;
    const at = `/api/v1/namespaces/${name}`;
    await api.delete(at);
    const namespace = await api.get<KubeObject>(at);
    await api.request('PUT', `${at}/finalize`, { ...namespace, spec: { finalizers: [] } });
  }
});
