import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { memoryBus, MemoryServer } from '@kuik/bus/memory';
import { CREDENTIALS, sealCredential, type BrokeredCredential, type CredentialReply } from '@kuik/contracts';
import { digestOf } from '@kuik/image';
import { makeImage, type MadeImage } from '@kuik/testbed';
import { ask, HOST, startProxyWorld, type Answer, type ProxyWorld, type RunningProxy } from './proxy-world.fixture.ts';

describe('private images, with a broker', () => {
  let world: ProxyWorld;
  let proxy: RunningProxy;
  let image: MadeImage;
  let asked: { repository: string; renew?: boolean }[] = [];
  let reply: (publicKey: string) => CredentialReply | undefined;
  const server = new MemoryServer();
  const broker = memoryBus(server);

  const basic = `Basic ${Buffer.from('puller:secret-word').toString('base64')}`;
  const sealed =
    (credential: BrokeredCredential) =>
    (publicKey: string): CredentialReply => ({ sealed: sealCredential(credential, publicKey) });

  beforeAll(async () => {
    world = await startProxyWorld();
    image = await makeImage({ seed: 'private', layers: [100_000] });
    await world.faults.push(HOST, 'private/app', ['1'], image);
    await world.faults.push(HOST, 'public/app', ['1'], image);
    broker.respond(CREDENTIALS, (request) => {
      asked.push({ repository: request.repository, ...(request.renew === true ? { renew: true } : {}) });
      return Promise.resolve(reply(request.publicKey));
    });
  });
  afterEach(async () => {
    await proxy.close();
    await world.faults.reset();
    asked = [];
  });
  afterAll(async () => {
    await broker.close();
    await world.stop();
  });

  async function start(): Promise<void> {
    await world.faults.host(HOST).auth({
      scheme: 'basic',
      users: [{ username: 'puller', password: 'secret-word' }],
      anonymous: ['public/*'],
    });
    proxy = await world.start({ bus: memoryBus(server), settings: { broker: { timeout: '300ms' } } });
  }
  const pull = (name: string, rest: string): Promise<Answer> => ask(`${proxy.url}/v2/${HOST}/${name}/${rest}`);

  it('asks the broker once for a private repository, and never for a public one', async () => {
    reply = sealed({ kind: 'header', value: basic, expiresAtMs: Date.now() + 600_000 });
    await start();
    for (const name of ['private/app', 'public/app']) {
      expect(digestOf((await pull(name, 'manifests/1')).body)).toBe(image.digest);
      for (const { digest } of image.blobs) expect(digestOf((await pull(name, `blobs/${digest}`)).body)).toBe(digest);
    }
    expect(asked).toEqual([{ repository: 'private/app' }]);
    expect(JSON.stringify(proxy.lines)).not.toContain('secret-word');
    expect(JSON.stringify(proxy.lines)).not.toContain(basic);
  });

  it('asks for a new credential when the one in hand is refused', async () => {
    const stale = `Basic ${Buffer.from('puller:wrong').toString('base64')}`;
    const header = (value: string) => sealed({ kind: 'header', value, expiresAtMs: Date.now() + 600_000 });
    reply = (publicKey) => header(asked.at(-1)?.renew === true ? basic : stale)(publicKey);
    await start();
    expect((await pull('private/app', 'manifests/1')).status).toBe(200);
    expect(asked).toEqual([{ repository: 'private/app' }, { repository: 'private/app', renew: true }]);
  });

  it.each([
    ['does not answer', (): undefined => undefined, 503, 'KUIK-CRD-503'],
    [
      'denies this node',
      () => ({ error: { code: 'KUIK-CRD-403', message: 'no pod here uses it', retry: false } }),
      403,
      'KUIK-CRD-403',
    ],
    [
      'cannot read the secret',
      () => ({ error: { code: 'KUIK-CRD-422', message: 'acme/regcred has no auths', retry: false } }),
      401,
      'KUIK-CRD-422',
    ],
    ['knows no credential', sealed({ kind: 'anonymous' }), 401, 'KUIK-REG-401'],
  ])(
    'fails a private miss clearly when the broker %s, and serves public images',
    async (_what, answer, status, code) => {
      reply = answer;
      await start();
      const refused = await pull('private/app', 'manifests/1');
      expect([refused.status, refused.body.toString()]).toEqual([status, expect.stringContaining(code)]);
      expect((await pull('public/app', 'manifests/1')).status).toBe(200);
    },
  );

  it('uses the credential in hand while the broker is gone', async () => {
    reply = sealed({ kind: 'header', value: basic, expiresAtMs: Date.now() + 600_000 });
    await start();
    expect((await pull('private/app', 'manifests/1')).status).toBe(200);
    reply = () => undefined;
    const { digest } = image.blobs[0]!;
    expect(digestOf((await pull('private/app', `blobs/${digest}`)).body)).toBe(digest);
  });
});
