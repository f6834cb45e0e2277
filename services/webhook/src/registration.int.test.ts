import { X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import { connect } from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { memoryBus } from '@kuik/bus/memory';
import { systemClock } from '@kuik/runtime';
import { leaseTestbed, until, type Stack } from '@kuik/testbed';
import { FreshConnections } from './fresh-connections.fixture.ts';
import { splitBundle } from './plan-certificates.ts';
import {
  CONFIGURATION,
  imageOf,
  NAMESPACE,
  onePod,
  podsOf,
  REGISTRATION,
  SECRET,
  WebhookBed,
  type Pod,
} from './webhook-bed.fixture.ts';

const DAY = 86_400_000;
const THROUGH = 'localhost:7439/';

let stack: Stack<'controlPlane'>;
let bed: WebhookBed;
let relay: FreshConnections;
/** How far the replicas' clock is behind: certificates are made in the past, so that the API server finds all of them valid. */
let behind = 0;

const data = async (key: string): Promise<string> => {
  const secret = await stack.controlPlane.api.find<{ data: Record<string, string> }>(SECRET);
  return Buffer.from(secret?.data[key] ?? '', 'base64').toString();
};
const authorities = async () => splitBundle(await data('ca.crt'));
/** The fingerprint of what a replica serves now. */
async function servedBy(port: number): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().fingerprint256;
  } finally {
    socket.destroy();
  }
}
/** The clock jumps forward; resolves when another certificate is there. */
const jumpTo = async (days: number, what: string): Promise<void> => {
  const before = await data('tls.crt');
  behind = days * DAY;
  await until(async () => (await data('tls.crt')) !== before, { what, timeoutMs: 20_000 });
};

beforeAll(async () => {
  stack = await leaseTestbed({ parts: ['controlPlane'] });
  bed = await WebhookBed.open(stack);
  await Promise.all(['silent', 'prod'].map((name) => stack.controlPlane.namespace(name, { tier: name })));
  const clock = { now: () => Date.now() - behind, monotonic: systemClock.monotonic };
  behind = 257 * DAY;
  const env = {
    KUIK_CERTIFICATE_DAYS: '30',
    KUIK_POLICY_CHECK: '200ms',
    KUIK_NATS_URL: 'nats://127.0.0.1:4222',
    KUIK_NATS_NKEY_FILE: await bed.file('webhook.nkey', 'never read: the bus is in memory'),
  };
  const start = () => bed.startWebhook(env, { clock, adapters: { bus: memoryBus() } });
  const [app] = await Promise.all([start(), start()]);
  await until(async () => (await data('tls.crt')) !== '', { what: 'the first certificate', timeoutMs: 20_000 });
  await jumpTo(25, 'a certificate that is valid now');
  relay = new FreshConnections(() => app.admissionPort);
  await bed.register(await relay.start());
  await bed.asked();
}, 120_000);

afterAll(async () => {
  await bed?.close();
  await relay?.close();
  await stack?.stop();
});

describe('the registration', () => {
  const namesOf = async () => (await bed.configuration()).webhooks[0]?.matchConditions?.map(({ name }) => name);
  const why = async (name: string, namespace: string): Promise<number> =>
    (await fetch(`http://127.0.0.1:${bed.apps[0]!.healthPort}/why?namespace=${namespace}&pod=${name}`)).status;
  let made = 0;
  /** Whether the webhook was asked about such a pod: one that is created after it has been answered. */
  async function isAsked(change: Parameters<typeof onePod>[1], namespace = 'default'): Promise<boolean> {
    const [name, after] = [`pod-${made++}`, `after-${made}`];
    await bed.dryRun(name, change, namespace);
    await bed.dryRun(after, { metadata: { labels: { tier: 'prod' } } }, 'prod');
    await until(async () => (await why(after, 'prod')) === 200, { what: 'the later pod to be answered' });
    return (await why(name, namespace)) === 200;
  }

  it('follows the rules: what they leave alone is not even sent', async () => {
    const mirror = { metadata: { annotations: { 'kubernetes.io/config.mirror': 'x' } }, spec: { nodeName: 'node-1' } };
    const critical = { spec: { priorityClassName: 'system-node-critical' } };
    const infra = { metadata: { labels: { team: 'infra' } } };
    const managed = { metadata: { annotations: { 'sidecar.example.test/managed': 'by "hand"' } } };
    await until(async () => !(await isAsked(mirror)), { what: 'mirrors to be kept from the webhook' });
    for (const sent of [infra, managed, {}]) expect(await isAsked(sent)).toBe(true);
    expect(await isAsked({}, 'silent')).toBe(true);
    expect(await isAsked(critical, 'silent')).toBe(false);

    await bed.rules(
      [
        'skipLabels: [team=infra]',
        `skipAnnotations: ['sidecar.example.test/managed=by "hand"']`,
        'namespaces: { silent: { mode: off } }',
        'podSelector: { matchExpressions: [{ key: role, operator: NotIn, values: [instance] }] }',
        'rewriteNodeCritical: true',
      ].join('\n'),
    );
    await until(async () => !(await isAsked(infra)), { what: 'the registration to follow the rules' });
    expect(await namesOf()).toEqual(['skip-labels', 'skip-annotations', 'no-mirror']);
    for (const kept of [managed, mirror, { metadata: { labels: { role: 'instance' } } }])
      expect(await isAsked(kept)).toBe(false);
    const silent = await bed.dryRun('shop', {}, 'silent');
    expect(await isAsked({}, 'silent')).toBe(false);
    expect([silent.metadata.annotations, silent.metadata.labels]).toEqual([undefined, undefined]);
    for (const sent of [{ metadata: { labels: { team: 'shop' } } }, {}]) expect(await isAsked(sent)).toBe(true);
  });

  it('selects namespaces by their labels, which the webhook never sees', async () => {
    await bed.rules('namespaceSelector: { matchLabels: { tier: prod } }');
    await until(async () => !imageOf(await bed.dryRun('shop')).startsWith(THROUGH), { what: 'the selector to hold' });
    expect(imageOf(await bed.dryRun('shop', {}, 'prod'))).toMatch(/^localhost:7439/);
    await bed.rules('');
    await bed.asked('pods of all namespaces to be sent again');
  });

  it('is put right after somebody has set it back', async () => {
    const right = (await bed.configuration()).webhooks;
    const reset = [
      { op: 'replace', path: '/webhooks/0/namespaceSelector', value: {} },
      { op: 'replace', path: '/webhooks/0/objectSelector', value: {} },
      { op: 'remove', path: '/webhooks/0/matchConditions' },
    ];
    const contentType = 'application/json-patch+json';
    await stack.controlPlane.api.request('PATCH', CONFIGURATION, reset, { contentType });
    await until(async () => (await namesOf()) !== undefined, { what: 'the registration to be put right' });
    expect((await bed.configuration()).webhooks).toEqual(right);
  });
});

describe('at rest', () => {
  /** Calls that the API server has answered for what the loops keep: those that read, and those that write or try to. */
  async function calls(): Promise<{ reads: number; writes: number }> {
    const page = await stack.controlPlane.api.request<{ message: string }>('GET', '/metrics', undefined, {
      accept: 'text/plain',
    });
    const kept = /^apiserver_request_total\{.*resource="(?:mutating[a-z]+|secrets)".*verb="(\w+)".*\} (\d+)$/gm;
    const found = [...page.message.matchAll(kept)].map(([, verb, count]) => ({ verb, count: Number(count) }));
    const sum = (isRead: boolean): number =>
      found.filter(({ verb }) => (verb === 'GET') === isRead).reduce((total, { count }) => total + count, 0);
    return { reads: sum(true), writes: sum(false) };
  }
  /** Until every loop of both replicas has looked several times. */
  const severalChecks = async (): Promise<void> => {
    const { reads } = await calls();
    await until(async () => (await calls()).reads > reads + 30, { what: 'several checks of every loop' });
  };

  it('two replicas write nothing', async () => {
    const { writes } = await calls();
    await severalChecks();
    expect((await calls()).writes).toBe(writes);
  });

  it('leave newer rules to Helm, which could not write what one of us has written last', async () => {
    const upgrade = (ignored: readonly string[], force: boolean) => {
      const values = ['kube-system', NAMESPACE, `${NAMESPACE}-proxy`, ...ignored];
      const matchExpressions = [{ key: 'kubernetes.io/metadata.name', operator: 'NotIn', values }];
      const { apiVersion, kind, metadata, name } = REGISTRATION;
      const registration = {
        apiVersion,
        kind,
        metadata,
        webhooks: [{ name, namespaceSelector: { matchExpressions } }],
      };
      const path = `${CONFIGURATION}?fieldManager=helm&force=${force}`;
      const contentType = 'application/apply-patch+yaml';
      return stack.controlPlane.api.request('PATCH', path, registration, { contentType });
    };
    await upgrade(['ci'], true);
    const { writes } = await calls();
    await severalChecks();
    await bed.rules('ignoreNamespaces: [ci]');
    await severalChecks();
    expect((await calls()).writes).toBe(writes);
    await upgrade(['ci', 'tests'], false);
    await bed.rules('ignoreNamespaces: [ci, tests]');
  });
});

describe('certificates', () => {
  it('rotate without one admission that fails, the authority too', async () => {
    const untouched: string[] = [];
    let created = 0;
    let over = false;
    const create = async (name: string): Promise<void> => {
      const pod = await stack.controlPlane.api.create<Pod>(`${podsOf('default')}?dryRun=All`, onePod(name));
      if (!imageOf(pod).startsWith(THROUGH)) untouched.push(name);
    };
    const creator = async (): Promise<void> => {
      while (!over) {
        await Promise.all(['a', 'b', 'c'].map((of) => create(`load-${of}-${created++}`)));
        await relay.end();
      }
    };
    const load = creator();
    try {
      const [first] = await authorities();
      await jumpTo(4, 'the certificate to be renewed');
      expect(await authorities()).toEqual([first]);
      await jumpTo(0, 'the authority to be renewed');
      expect(await authorities()).toEqual([expect.anything(), first]);
      const newest = new X509Certificate(await data('tls.crt')).fingerprint256;
      for (const { admissionPort } of bed.apps)
        await until(async () => (await servedBy(admissionPort)) === newest, {
          what: 'a replica to serve what the new authority signed',
        });
      const soon = created + 30;
      await until(() => created > soon, { what: 'pods created afterwards', timeoutMs: 20_000 });
    } finally {
      over = true;
    }
    await load;
    expect(untouched).toEqual([]);
    expect(relay.made).toBeGreaterThan(created / 2);
  }, 60_000);
});
