import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { freePort, makeImage, until, type ServiceProcess } from '@kuik/testbed';
import { makeTenant, type Tenant } from './private/tenant.ts';
import { leaseLocalParts, type LocalParts } from './stack/local-parts.ts';
import { startReplicas } from './stack/start-replicas.ts';
import { pullWithSkopeo } from './stack/skopeo.ts';
import { untilReady } from './story/cached-images.ts';
import { linesOf } from './story/log-lines.ts';
import { HOST } from './story/world.ts';

const SECRET = `${HOST}/team/secret:1`;
const OTHERS = `${HOST}/other/app:1`;
const OPEN = `${HOST}/open/app:1`;
const ENVIRONMENT = { KUIK_PRIVATE_IMAGES_MODE: 'enforce' };
const BROKER = {
  ...ENVIRONMENT,
  KUIK_PRIVATE_IMAGES_VERDICT_FOR: '1500ms',
  KUIK_PRIVATE_IMAGES_PUBLIC_FOR: '1s',
};

let parts: LocalParts & { stop(): Promise<void> };
const services: ServiceProcess[] = [];
let proxies: { process: ServiceProcess; address: string }[] = [];
let a: Tenant;
let b: Tenant;
let c: Tenant;
let digest: string;
let layer: string;

/** Who the registry knows, and what each may pull. */
const users = (...names: ('a' | 'c' | 'copier')[]) =>
  parts.faults.host(HOST).auth({
    scheme: 'bearer',
    anonymous: ['open/*'],
    users: [
      { username: 'a', password: 'of-a', repositories: ['team/*'] },
      { username: 'c', password: 'of-c', repositories: ['other/*'] },
    ].filter(({ username }) => names.some((name) => name === username)),
  });

beforeAll(async () => {
  parts = await leaseLocalParts();
  const { controlPlane, faults, facts } = parts;
  const start = async (service: Parameters<typeof startReplicas>[0], environment: Record<string, string>) =>
    services.push(...(await startReplicas(service, { ...parts, environment })));
  const otherPort = await freePort();
  const other = { ...parts, facts: { ...facts, proxyPort: otherPort }, environment: ENVIRONMENT };
  const image = await makeImage({ seed: 'neighbour', layers: [50_000] });
  const [pushed, , , , , here, there] = await Promise.all([
    faults.push(HOST, 'team/secret', ['1'], image),
    faults.push(HOST, 'other/app', ['1'], image),
    faults.push(HOST, 'open/app', ['1'], await makeImage({ seed: 'open', layers: [1_000] })),
    Promise.all([start('webhook', ENVIRONMENT), start('pod-watcher', BROKER)]),
    start('image-copier', {}),
    startReplicas('node-proxy', { ...parts, environment: ENVIRONMENT }),
    startReplicas('node-proxy', other, { node: 'node-2' }),
  ]);
  digest = pushed.digest;
  proxies = [
    { process: here[0]!, address: facts.proxyPrefix },
    { process: there[0]!, address: `localhost:${otherPort}` },
  ];
  services.push(...here, ...there);
  await users('a', 'c');
  const tenant = (namespace: string, images: string[], password?: string) =>
    makeTenant(controlPlane, {
      namespace,
      host: HOST,
      images,
      prefix: facts.proxyPrefix,
      ...(password && { password }),
    });
  [a, b, c] = await Promise.all([
    tenant('a', [SECRET, OPEN], 'of-a'),
    tenant('b', [SECRET]),
    tenant('c', [SECRET, OTHERS], 'of-c'),
  ]);
  await untilReady(controlPlane.api, [SECRET, OTHERS, OPEN], () => undefined);
}, 60_000);
afterAll(async () => {
  await Promise.all(services.map((service) => service.stop()));
  await parts?.stop();
});

interface Seen {
  readonly status: number;
  readonly code: string | undefined;
  readonly challenge: string | null;
}

/** One request as containerd makes it once it was asked for a password. */
async function ask(address: string, path: string, who?: Tenant): Promise<Seen> {
  const headers = who === undefined ? {} : { authorization: `Basic ${Buffer.from(who.creds).toString('base64')}` };
  const answer = await fetch(`http://${address}/v2/${path}`, { headers });
  const text = await answer.text();
  const code = answer.status < 400 ? undefined : /KUIK-[A-Z]+-\d+/.exec(text)?.[0];
  return { status: answer.status, code, challenge: answer.headers.get('www-authenticate') };
}

const manifest = (): string => `${HOST}/team/secret/manifests/${digest}`;
const blob = (repository: string): string => `${HOST}/${repository}/blobs/${layer}`;
/** On both nodes: the tag, the manifest by its digest, and a layer by its digest. */
const secretFor = async (who?: Tenant): Promise<string[]> => {
  const paths = [`${HOST}/team/secret/manifests/1`, manifest(), blob('team/secret')];
  const seen = await Promise.all(
    proxies.flatMap(({ address }) => paths.map(async (path) => (await ask(address, path, who)).code ?? 'served')),
  );
  return [...new Set(seen)];
};
/** What each node wrote down of its decisions. */
const auditsOf = (message: string): string[][] =>
  proxies.map(({ process }) => [
    ...new Set(
      linesOf(readFileSync(process.logFile, 'utf8'))
        .filter((line) => line.message === message)
        .map((line) => `${String(line['who'])} ${String(line['name'])} ${String(line['reason'])}`),
    ),
  ]);
const auditOf = (message: string): string[] => auditsOf(message).flat();

it("a neighbour's image: whom upstream would serve is served, with upstream up and down, and nobody else, on no node; a digest opens nothing; what is revoked ends", async () => {
  // A kubelet of A shows its pull secret; the whole image arrives, on both nodes.
  for (const { address } of proxies) {
    const pulled = await pullWithSkopeo(address, SECRET, { creds: a.creds });
    expect(pulled.digest).toBe(digest);
  }
  const bytes = await fetch(`http://${proxies[0]!.address}/v2/${manifest()}`, {
    headers: { authorization: `Basic ${Buffer.from(a.creds).toString('base64')}` },
  });
  layer = ((await bytes.json()) as { layers: { digest: string }[] }).layers[0]!.digest;

  // Upstream up. C holds the very same layer in a repository of its own.
  expect(await secretFor(a)).toEqual(['served']);
  expect(await secretFor(b)).toEqual(['KUIK-ACC-403']);
  expect(await secretFor(c)).toEqual(['KUIK-ACC-403']);
  expect(await secretFor()).toEqual(['KUIK-ACC-401']);
  expect((await ask(proxies[0]!.address, blob('other/app'), c)).status).toBe(200);
  for (const path of [blob('open/app'), `${HOST}/open/app/manifests/${digest}`])
    for (const { address } of proxies) expect((await ask(address, path, b)).status).toBe(404);
  expect((await ask(proxies[0]!.address, manifest())).challenge).toContain('Basic');
  // What is public needs nobody's secret; what nobody uses is not asked for anywhere.
  expect((await ask(proxies[1]!.address, `${HOST}/open/app/manifests/1`)).status).toBe(200);
  const asked = parts.faults.log.total({}).requests;
  expect(await ask(proxies[0]!.address, 'evil.example.test/x/manifests/1', a)).toMatchObject({ code: 'KUIK-ACC-403' });
  expect(parts.faults.log.total({}).requests).toBe(asked);

  // Upstream down, and every verdict's time over: A within its grace, the others as before.
  await parts.faults.host(HOST).down();
  const meanwhile: string[] = [];
  await until(
    async () => {
      meanwhile.push(...(await secretFor(a)));
      return auditsOf('access allowed').every((lines) => lines.includes(`a/default ${HOST}/team/secret Grace`));
    },
    { what: "the time of A's verdict to be over", timeoutMs: 10_000, everyMs: 100 },
  );
  expect(new Set(meanwhile)).toEqual(new Set(['served']));
  for (const who of [b, c])
    expect((await secretFor(who)).filter((code) => !/^KUIK-ACC-(403|503)$/.test(code))).toEqual([]);
  expect((await ask(proxies[1]!.address, `${HOST}/open/app/manifests/1`)).status).toBe(200);

  // The broker is away, too, and the proxies begin anew: they find what it wrote down.
  const brokers = services.filter(({ service }) => service === 'pod-watcher');
  await Promise.all(brokers.map((broker) => broker.kill()));
  await Promise.all(proxies.map(({ process }) => process.restart()));
  await until(async () => (await secretFor(a)).join() === 'served', { what: 'NATS to be asked', timeoutMs: 10_000 });
  for (const who of [b, c]) expect(await secretFor(who)).toEqual(['KUIK-ACC-503']);
  expect(await secretFor()).toEqual(['KUIK-ACC-401']);
  expect((await ask(proxies[0]!.address, `${HOST}/open/app/manifests/1`)).status).toBe(200);
  await Promise.all(brokers.map((broker) => broker.restart()));

  // Upstream is back and knows A no more.
  await parts.faults.host(HOST).up();
  await users('c');
  await until(async () => (await secretFor(a)).join() === 'KUIK-ACC-403', {
    what: 'what A may to end',
    timeoutMs: 10_000,
  });

  // Each node wrote a line for each decision.
  for (const lines of auditsOf('access allowed'))
    expect(lines).toEqual(
      expect.arrayContaining(
        ['CredentialProven', 'Grace', 'RecordedProof'].map((why) => `a/default ${HOST}/team/secret ${why}`),
      ),
    );
  for (const lines of auditsOf('access denied'))
    expect(lines).toEqual(
      expect.arrayContaining([
        ...['a', 'b', 'c'].map((who) => `${who}/default ${HOST}/team/secret CredentialRefused`),
        ...['b', 'c'].map((who) => `${who}/default ${HOST}/team/secret BrokerUnavailable`),
      ]),
    );
  for (const lines of auditsOf('access needs a grant')) expect(lines).toContain(`anyone ${HOST}/team/secret NoGrant`);
  expect(auditOf('access allowed')).toEqual(
    expect.arrayContaining([`c/default ${HOST}/other/app CredentialProven`, `b/default ${HOST}/open/app Public`]),
  );
  expect(auditOf('access denied')).toContain('a/default evil.example.test/x NotUsed');
  expect(auditOf('access allowed').join()).not.toMatch(/[bc]\/default \S+\/team\/secret/);
}, 60_000);
