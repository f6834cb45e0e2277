import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { credentialRequesters, registryConfig, SERVICES } from '@kuik/contracts';
import { rulesFile } from '@kuik/rules';
import { parse } from 'yaml';
import { CHART, chartObjects, type ChartObject } from './chart-objects.ts';
import { loadedBy } from './rendered-settings.ts';

const run = promisify(execFile);

interface SchemaNode {
  description?: string;
  $ref?: string;
  allOf?: SchemaNode[];
  properties?: Record<string, SchemaNode>;
  definitions?: Record<string, SchemaNode>;
}
const schema = JSON.parse(readFileSync(path.join(CHART, 'values.schema.json'), 'utf8')) as SchemaNode;

const PEM = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n';
const EVERYTHING = {
  cache: { storage: { size: '', className: '' } },
  rules: {
    mode: 'observe',
    namespaces: { payments: { mode: 'off' } },
    ignoreNamespaces: ['ci'],
    namespaceSelector: { matchLabels: { tier: 'prod' } },
    podSelector: { matchExpressions: [{ key: 'cnpg.io/podRole', operator: 'NotIn', values: ['instance'] }] },
    skipLabels: ['team=infra'],
    skipAnnotations: ['keep-out'],
    ignoreImages: ['^local/'],
    acceptImages: ['.'],
    ignorePullPolicyAlways: false,
    nodesWithoutProxy: [{ matchLabels: { 'kubernetes.io/os': 'windows' } }],
    rewriteNodeCritical: true,
  },
  registries: {
    'registry.example.test:5000': {
      address: '10.0.0.7:5000',
      ca: PEM,
      plainHTTP: false,
      insecureSkipVerify: false,
      allowPrivate: true,
      trusted: ['auth.example.test'],
      apiHost: 'mirror.example.test',
      httpProxy: { url: 'http://own.example.test:3128' },
      timeouts: { connect: '1s' },
    },
  },
  httpProxy: {
    url: 'https://proxy.example.test:3128',
    ca: PEM,
    credentialsFile: '/etc/kuik/proxy/login',
    noProxy: ['.example.test'],
  },
  pace: {
    perSecond: 5,
    burst: 10,
    hosts: { 'docker.io': { perSecond: 1, burst: 2 } },
    floor: { monitoring: 0.3, copies: 0.1 },
  },
  addressPolicy: { refuse: ['198.18.0.0/15'], allow: ['10.96.0.0/12', 'fd00:10::/32'] },
  expiry: { unused: '12h', repositoryIdle: '2h' },
  'node-proxy': { port: 7500, httpPort: 7501, settings: { proxy: { followedTags: 7 } } },
  'pod-watcher': {
    settings: { retry: { first: '7s' } },
    usage: {
      completedHold: '5m',
      revisions: 1,
      kinds: [{ apiVersion: 'example.test/v1', kind: 'Proxy', resource: 'proxies', podSpecs: ['.spec.pod'] }],
    },
  },
};
const EXTERNAL = {
  'nats.enabled': 'false',
  'redis.enabled': 'false',
  'registry.enabled': 'false',
  'global.connections.natsUrl': 'nats://nats.example.test:4222',
  'global.connections.redisUrl': 'redis://redis.example.test:6379',
  'global.connections.cacheWriterUrl': 'https://cache.example.test',
  'global.connections.cacheReaderUrl': 'https://cache.example.test:5010',
};

const configOf = (objects: ChartObject[], service: string): string =>
  (
    objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === `kuik-${service}`) as unknown as {
      data: Record<string, string>;
    }
  ).data['config.yaml']!;

describe("the chart's values", () => {
  it.each([
    ['rulez.ignoreImages', 'x', "additional properties 'rulez' not allowed"],
    ['cache.storage.siez', '1Gi', "at '/cache/storage': additional properties 'siez' not allowed"],
    ['cache.storage.size', 'big', "at '/cache/storage/size'"],
    ['webhook.replica', '3', "at '/webhook': additional properties 'replica' not allowed"],
    ['monitor.replicas', 'two', "at '/monitor/replicas': got string, want integer"],
    ['node-proxy.port', '99999', "at '/node-proxy/port'"],
    ['expiry.unused', 'soon', "at '/expiry/unused': 'soon' does not match"],
    ['rules.ignoreImages', '^a', "at '/rules/ignoreImages': got string, want array"],
    ['rules.mode', 'on', "at '/rules/mode': value must be one of"],
    ['rules.namespaces.ci.mood', 'off', "at '/rules/namespaces/ci'"],
    [String.raw`registries.docker\.io.insecur`, 'true', "at '/registries/docker.io': additional properties 'insecur'"],
    [String.raw`registries.https://docker\.io.plainHTTP`, 'true', 'registries'],
    ['pace.perSecond', '0', "at '/pace/perSecond'"],
    ['addressPolicy.refuse', '10.0.0.0/8', "at '/addressPolicy/refuse': got string, want array"],
    ['addressPolicy.allow[0]', 'my-pods', "at '/addressPolicy/allow/0': 'my-pods' does not match"],
    ['addressPolicy.allow[0]', '10.0.0.0/33', "at '/addressPolicy/allow/0': '10.0.0.0/33' does not match"],
    ['addressPolicy.allow[0]', 'fd00::/129', "at '/addressPolicy/allow/0': 'fd00::/129' does not match"],
    ['global.logLevel', 'loud', "at '/global/logLevel': value must be one of"],
    ['global.connections.natsUrl', 'nats.example.test', "at '/global/connections/natsUrl'"],
    ['cachedImagesExpiryDelay', '30', 'cachedImagesExpiryDelay: write expiry.unused with its unit: 30d'],
    ['controllers.webhook.ignoredImages[0]', '^a', 'controllers.webhook.ignoredImages: rules.ignoreImages'],
    ['proxy.verbosity', '1', 'proxy: node-proxy'],
    ['registry.persistence.enabled', 'true', 'registry.persistence: cache.storage.size'],
    [
      'pod-watcher.usage.kinds[0].apiVersion',
      'v1,pod-watcher.usage.kinds[0].kind=Any,pod-watcher.usage.kinds[0].resource=secrets',
      'pod-watcher.usage.kinds: Secrets are read by name alone, never listed',
    ],
    ['nats.enabled', 'false', 'nats.enabled is false: set global.connections.natsUrl'],
    ['redis.enabled', 'false', 'redis.enabled is false: set global.connections.redisUrl'],
    ['registry.enabled', 'false', 'registry.enabled is false: set global.connections.cacheWriterUrl'],
  ])('refuse %s=%s and say where', async (key, value, message) => {
    await expect(chartObjects({ [key]: value })).rejects.toThrow(message);
  });

  it('are described, every one', () => {
    const silent: string[] = [];
    const walk = (node: SchemaNode, at: string): void => {
      const named = node.$ref ?? node.allOf?.[0]?.$ref;
      const target = named === undefined ? node : schema.definitions![named.replace('#/definitions/', '')]!;
      if ((node.description ?? target.description ?? '') === '') silent.push(at);
      for (const [key, child] of Object.entries(target.properties ?? {})) walk(child, `${at}.${key}`);
    };
    for (const [key, node] of Object.entries(schema.properties!)) walk(node, key);
    expect(silent).toEqual([]);
  });

  it('know every setting of a registry but the one that would name a file nobody mounts', () => {
    expect(Object.keys(schema.definitions!['registry']!.properties!).sort()).toEqual(
      Object.keys(registryConfig.shape)
        .filter((key) => key !== 'caFile')
        .sort(),
    );
  });

  it('reach the services that read them', async () => {
    const objects = await chartObjects({}, EVERYTHING);
    const loaded = Object.fromEntries(
      await Promise.all(
        SERVICES.map(async (service) => [service, await loadedBy(service, configOf(objects, service))] as const),
      ),
    );
    expect(loaded['webhook']).toMatchObject({
      namespace: 'kuik-system',
      proxyPrefixes: ['localhost:7500', '127.0.0.1:7500'],
      listen: { port: 9443 },
      http: { port: 8080 },
    });
    expect(loaded['pod-watcher']).toMatchObject({
      proxyPrefixes: ['localhost:7500', '127.0.0.1:7500'],
      expiry: { unused: 12 * 3_600_000, repositoryIdle: 2 * 3_600_000 },
      retry: { first: 7000 },
      usage: {
        completedHold: 300_000,
        revisions: 1,
        kinds: [{ apiVersion: 'example.test/v1', kind: 'Proxy', podSpecs: [{ text: '.spec.pod' }] }],
      },
      broker: {
        nodeProxies: credentialRequesters().onEachNode.map((service) => `kuik-system-proxy/kuik-${service}`),
        services: credentialRequesters().anywhere.map((service) => `kuik-system/kuik-${service}`),
      },
      lease: { namespace: 'kuik-system' },
    });
    expect(loaded['node-proxy']).toMatchObject({
      listen: [
        { host: '127.0.0.1', port: 7500 },
        { host: '::1', port: 7500 },
      ],
      http: { host: '127.0.0.1', port: 7501 },
      proxy: { followedTags: 7 },
    });
    for (const service of ['pod-watcher', 'image-copier', 'monitor', 'node-proxy'])
      expect(loaded[service]).toMatchObject({
        registries: {
          'registry.example.test:5000': {
            ...EVERYTHING.registries['registry.example.test:5000'],
            timeouts: { connect: 1000 },
          },
        },
        httpProxy: { ...EVERYTHING.httpProxy, credentialsFile: expect.any(String) },
        addressPolicy: EVERYTHING.addressPolicy,
      });
    for (const service of ['image-copier', 'monitor']) expect(loaded[service]).toMatchObject({ pace: EVERYTHING.pace });
  });

  it('bring files and programs of a person into the pods of a service, and no other', async () => {
    const volumes = [{ name: 'plugins', emptyDir: {} }];
    const mounts = [{ name: 'plugins', mountPath: '/etc/kuik/plugins' }];
    const own = {
      extraVolumes: volumes,
      extraVolumeMounts: mounts,
      extraEnv: [{ name: 'REGION', value: 'eu' }],
      initContainers: [{ name: 'plugin', image: 'registry.example.test/plugin:1', volumeMounts: mounts }],
    };
    const objects = await chartObjects({}, { 'pod-watcher': own });
    const workloads = objects.filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet');
    const whoHave = workloads.filter((object) => JSON.stringify(object).includes('plugins'));
    expect(whoHave.map(({ metadata }) => metadata.name)).toEqual(['kuik-pod-watcher']);
    expect(whoHave[0]!['spec']).toMatchObject({
      template: {
        spec: {
          initContainers: own.initContainers,
          volumes: expect.arrayContaining(volumes),
          containers: [{ volumeMounts: expect.arrayContaining(mounts), env: expect.arrayContaining(own.extraEnv) }],
        },
      },
    });
  });

  it('are rules that the services follow, told by one ConfigMap and to the API server', async () => {
    expect(Object.keys(schema.properties!['rules']!.properties!).sort()).toEqual(Object.keys(rulesFile.shape).sort());
    expect(Object.keys(EVERYTHING.rules).sort()).toEqual(Object.keys(rulesFile.shape).sort());
    const objects = await chartObjects({}, EVERYTHING);
    const map = objects.find(({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === 'kuik-rules')!;
    const written: unknown = parse((map['data'] as Record<string, string>)['rules.yaml']!);
    expect(rulesFile.parse(written)).toEqual(rulesFile.parse(EVERYTHING.rules));
    const registration = objects.find(({ kind }) => kind === 'MutatingWebhookConfiguration')!;
    expect(registration['webhooks']).toMatchObject([
      {
        namespaceSelector: {
          matchExpressions: [
            { values: ['kube-system', 'kuik-system', 'kuik-system-proxy', 'ci'] },
            { key: 'tier', values: ['prod'] },
          ],
        },
        objectSelector: { matchExpressions: [{ values: ['ignore'] }, { values: ['instance'] }] },
      },
    ]);
  });

  it('restart the pods of a service when its settings change, and no others, and nobody when the rules or registries do', async () => {
    const checksums = async (values: Record<string, unknown>): Promise<Record<string, unknown>> =>
      Object.fromEntries(
        (await chartObjects({}, values))
          .filter(({ kind }) => kind === 'Deployment' || kind === 'DaemonSet')
          .map(({ metadata, ...object }) => [
            metadata.name,
            (object['spec'] as { template: { metadata: { annotations: object } } }).template.metadata.annotations,
          ]),
      );
    const before = await checksums({});
    const changedBy = async (values: Record<string, unknown>): Promise<string[]> => {
      const after = await checksums(values);
      return Object.keys(before).filter((name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]));
    };
    expect(await changedBy({ expiry: { unused: '1d' } })).toEqual(['kuik-pod-watcher']);
    expect(await changedBy({ rules: { ignoreImages: ['^x'] } })).toEqual([]);
    expect(await changedBy({ registries: EVERYTHING.registries, httpProxy: EVERYTHING.httpProxy })).toEqual([]);
  });

  it('name external parts by URL and then install none', async () => {
    const objects = await chartObjects(EXTERNAL);
    expect(objects.filter(({ kind }) => kind === 'StatefulSet')).toEqual([]);
    expect(await loadedBy('image-copier', configOf(objects, 'image-copier'))).toMatchObject({
      nats: { url: 'nats://nats.example.test:4222' },
      redis: { url: 'redis://redis.example.test:6379' },
      cache: { url: 'https://cache.example.test' },
    });
    expect(configOf(objects, 'node-proxy')).toContain('url: https://cache.example.test:5010');
  });
});

describe('what the settings name as files', () => {
  let folder: string;
  let objects: ChartObject[];
  beforeAll(async () => {
    objects = await chartObjects();
    folder = mkdtempSync(path.join(tmpdir(), 'kuik-keys-'));
    const main = path.join(CHART, '../../services/keys/src/main.ts');
    await run(process.execPath, [main], { env: { PATH: process.env['PATH'], KUIK_FOLDER: folder } });
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it.each(SERVICES)('is made by the keys job and mounted into %s', async (service) => {
    type Spec = {
      volumes: { name: string; secret?: { secretName: string }; configMap?: { name: string }; projected?: object }[];
      containers: { volumeMounts: { name: string; mountPath: string }[] }[];
    };
    const workload = objects.find(
      ({ kind, metadata }) => /^(Deployment|DaemonSet)$/.test(kind) && metadata.name === `kuik-${service}`,
    )!;
    const { volumes, containers } = (workload['spec'] as { template: { spec: Spec } }).template.spec;
    const named = [...configOf(objects, service).matchAll(/^\s*\w*File: (\S+)$/gm)].map(([, file]) => file!);
    expect(named.length).toBeGreaterThan(0);
    for (const file of named) {
      const mount = containers[0]!.volumeMounts.find(({ mountPath }) => mountPath === path.dirname(file))!;
      const volume = volumes.find(({ name }) => name === mount.name)!;
      if (volume.configMap !== undefined) {
        const map = objects.find(
          ({ kind, metadata }) => kind === 'ConfigMap' && metadata.name === volume.configMap!.name,
        )!;
        expect(map['data']).toHaveProperty([path.basename(file)]);
      } else if (volume.secret === undefined)
        expect(JSON.stringify(volume.projected)).toContain('"audience":"kuik-broker"');
      else expect(existsSync(path.join(folder, volume.secret.secretName, path.basename(file)))).toBe(true);
    }
  });

  it('is given to the keys job under names that it knows', async () => {
    type Job = { template: { spec: { containers: { env: { name: string; value: string }[] }[] } } };
    const job = objects.find(({ kind }) => kind === 'Job')!['spec'] as Job;
    const env = job.template.spec.containers[0]!.env.map(({ name, value }) => [name, value] as const);
    expect(await loadedBy('keys', undefined, Object.fromEntries(env))).toMatchObject({
      namespace: 'kuik-system',
      proxyNamespace: 'kuik-system-proxy',
    });
  });
});
