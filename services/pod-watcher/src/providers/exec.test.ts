import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ConfigError } from '@kuik/runtime';
import { configuredProviders, credentialProvidersConfig } from './configured-providers.ts';
import { parseExecConfig } from './exec-config.ts';
import { ExecProvider } from './exec-provider.ts';
import { readPluginAnswer } from './plugin-answer.ts';
import { NoAnswerInTime } from './renewed-logins.ts';
import { runPlugin } from './run-plugin.ts';

const V1 = 'credentialprovider.kubelet.k8s.io/v1';
const written = (more = '', provider = '') => `
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
${more}
providers:
  - name: corp-login
    matchImages: ['*.corp.test', 'registry.test:5000/team']
    defaultCacheDuration: 1h
    apiVersion: ${V1}
    args: [get-credentials]
    env: [{ name: REGION, value: eu }]
    ${provider}
`;
const [CONFIG] = parseExecConfig(written(), 'f.yaml');

describe('parseExecConfig', () => {
  it('reads what a kubelet reads', () => {
    expect(CONFIG).toEqual({
      name: 'corp-login',
      matchImages: ['*.corp.test', 'registry.test:5000/team'],
      defaultCacheDuration: 3_600_000,
      apiVersion: V1,
      args: ['get-credentials'],
      env: [{ name: 'REGION', value: 'eu' }],
    });
  });

  it.each([
    ['a path as a name', written().replace('corp-login', '../corp'), 'providers[0].name'],
    ['an unknown protocol', written().replace(V1, 'credentialprovider.kubelet.k8s.io/v9'), 'providers[0].apiVersion'],
    ['no pattern', written().replace(/matchImages: .*/, 'matchImages: []'), 'providers[0].matchImages'],
    ['a duration that is none', written().replace('1h', 'soon'), 'providers[0].defaultCacheDuration'],
    ['service account tokens', written('', 'tokenAttributes: {}'), 'providers[0]'],
    ['another kind', written().replace('kind: Cred', 'kind: X'), 'kind'],
  ])('names %s', (_name, text, where) => {
    const mistakes = (): string[] => {
      try {
        parseExecConfig(text, 'f.yaml');
      } catch (error) {
        return (error as ConfigError).mistakes.map(({ path: at }) => at);
      }
      return [];
    };
    expect(mistakes()).toEqual([where]);
  });
});

const asked = { host: 'a.corp.test', repository: 'x/y', apiVersion: V1, defaultCacheMs: 3_600_000, nowMs: 0 };
const answer = (more: object = {}) =>
  JSON.stringify({
    kind: 'CredentialProviderResponse',
    apiVersion: V1,
    cacheKeyType: 'Registry',
    auth: { '*.corp.test': { username: 'u', password: 'hunter2' } },
    ...more,
  });

describe('readPluginAnswer', () => {
  it.each([
    ['Image', undefined, 'image a.corp.test/x/y', 3_600_000],
    ['Registry', '5m', 'registry a.corp.test', 300_000],
    ['Global', '0s', 'global', 0],
  ])('is remembered per %s for %s', (cacheKeyType, cacheDuration, key, expiresAtMs) => {
    expect(readPluginAnswer(answer({ cacheKeyType, cacheDuration }), asked)).toMatchObject({ key, expiresAtMs });
  });

  it.each([
    ['no JSON', 'hunter2', 'not JSON'],
    ['another kind', answer({ kind: 'hunter2' }), 'kind'],
    ['another protocol', answer({ apiVersion: 'credentialprovider.kubelet.k8s.io/v1beta1' }), 'v1beta1'],
    ['an unknown key type', answer({ cacheKeyType: 'hunter2' }), 'cacheKeyType'],
    ['a login without a password', answer({ auth: { hunter2: { username: 'u' } } }), ': auth'],
  ])('refuses %s without quoting it', (_name, text, words) => {
    const read = () => readPluginAnswer(text, asked);
    expect(read).toThrow(words);
    expect(read).not.toThrow('hunter2');
  });
});

describe('ExecProvider', () => {
  const world = (more: object = {}) => {
    const inputs: string[] = [];
    const clock = { now: 0 };
    const run = ({ program, input, args, env }: Parameters<typeof runPlugin>[0]) => {
      inputs.push(input);
      expect([program, args, env]).toEqual(['/bin.d/corp-login', ['get-credentials'], { REGION: 'eu' }]);
      return Promise.resolve(answer(more));
    };
    const provider = new ExecProvider(CONFIG!, { folder: '/bin.d', timeoutMs: 1_000, now: () => clock.now, run });
    return { inputs, clock, provider };
  };

  it('asks in the protocol, once per registry when the plugin says so', async () => {
    const { inputs, provider } = world();
    const logins = await provider.logins('a.corp.test', 'x/y', {});
    expect(logins).toEqual([
      { credential: { kind: 'basic', username: 'u', password: 'hunter2' }, expiresAtMs: 3_600_000 },
    ]);
    await provider.logins('a.corp.test', 'other', {});
    await provider.logins('b.corp.test', 'other', {});
    expect(inputs.map((text) => JSON.parse(text) as unknown)).toEqual([
      { kind: 'CredentialProviderRequest', apiVersion: V1, image: 'a.corp.test/x/y' },
      { kind: 'CredentialProviderRequest', apiVersion: V1, image: 'b.corp.test/other' },
    ]);
  });

  it.each([
    ['Image', ['a.corp.test/x', 'a.corp.test/y', 'b.corp.test/x'], 3],
    ['Global', ['a.corp.test/x', 'a.corp.test/y', 'b.corp.test/x'], 1],
  ])('%s', async (cacheKeyType, images, questions) => {
    const { inputs, provider } = world({ cacheKeyType });
    for (const image of images) {
      const [host = '', repository = ''] = image.split('/');
      expect(await provider.logins(host, repository, {})).toHaveLength(1);
    }
    expect(inputs).toHaveLength(questions);
  });

  it('asks each time when the plugin wants that, and hands out no login of another pattern', async () => {
    const { inputs, provider } = world({ cacheDuration: '0s' });
    await provider.logins('a.corp.test', 'x', {});
    await provider.logins('a.corp.test', 'x', {});
    expect(inputs).toHaveLength(2);
    expect(await provider.logins('registry.test:5000', 'team/x', {})).toEqual([]);
  });

  /** Programs that end when they are told to. */
  const slowWorld = (more: object = {}) => {
    const running: { image: string; end: (error?: Error) => void }[] = [];
    const clock = { now: 0 };
    let started = 0;
    const run = ({ input }: Parameters<typeof runPlugin>[0]) => {
      started += 1;
      return new Promise<string>((resolve, reject) => {
        const { image } = JSON.parse(input) as { image: string };
        const end = (error?: Error): void => {
          running.splice(running.indexOf(program), 1);
          if (error === undefined) resolve(answer(more));
          else reject(error);
        };
        const program = { image, end };
        running.push(program);
      });
    };
    const provider = new ExecProvider(CONFIG!, { folder: '/bin.d', timeoutMs: 1_000, now: () => clock.now, run });
    /** Images of so many registries, in turns (default: each of its own), from the one with number `first` on. */
    const ask = (count: number, { renew = false, registries = count, first = 0 } = {}) =>
      Array.from({ length: count }, (_, at) =>
        provider.logins(`r${first + (at % registries)}.corp.test`, `x/${at}`, { renew }),
      );
    const images = () => running.map(({ image }) => image);
    return { clock, running, images, ask, started: () => started };
  };
  const settled = () => new Promise<void>((resolve) => setImmediate(resolve));
  const hung = () => new NoAnswerInTime('no answer within 1000 ms');

  it.each([false, true])(
    'runs four programs at once, one for a registry, and its answer serves whoever waits (renewed: %s)',
    async (renew) => {
      const { running, images, ask, started } = slowWorld();
      const logins = ask(50, { renew, registries: 5 });
      await settled();
      expect(images()).toEqual([0, 1, 2, 3].map((at) => `r${at}.corp.test/x/${at}`));
      running[0]!.end();
      await settled();
      expect(images()).toEqual([1, 2, 3, 4].map((at) => `r${at}.corp.test/x/${at}`));
      running[3]!.end();
      await Promise.all(logins.filter((_, at) => at % 5 === 0 || at % 5 === 4));
      expect(images()).toEqual([1, 2, 3].map((at) => `r${at}.corp.test/x/${at}`));
      for (const { end } of [...running]) end();
      expect((await Promise.all(logins)).every((given) => given.length === 1)).toBe(true);
      expect(started()).toBe(5);
    },
  );

  it.each([
    ['one registry: two at once when it has answered', 1, [1, 2, 2, 2, 2, 2, 2, 2, 1]],
    ['several: four at once', 3, [3, 4, 4, 4, 4, 4, 3, 2, 1]],
  ])(
    'asks for each image in its turn when the plugin answers for one at a time, whatever became of those before; %s',
    async (_what, registries, programs) => {
      const { running, ask, started } = slowWorld({ cacheKeyType: 'Image' });
      const logins = Promise.allSettled(ask(9, { registries }));
      const ran: number[] = [];
      for (let ended = 0; ended < 9; ended += 1) {
        await settled();
        ran.push(running.length);
        running[0]!.end(ended % 2 === 0 ? undefined : new Error('no role'));
      }
      expect(ran).toEqual(programs);
      expect((await logins).filter(({ status }) => status === 'fulfilled')).toHaveLength(5);
      expect(started()).toBe(9);
    },
  );

  it('starts no program for what waited longer than one may run, and asks when it is asked again', async () => {
    const { clock, running, ask, started } = slowWorld({ cacheKeyType: 'Image' });
    const logins = Promise.allSettled(ask(6));
    await settled();
    clock.now = 1_001;
    for (const { end } of [...running]) end(hung());
    expect((await logins).map((one) => (one.status === 'rejected' ? String(one.reason) : ''))).toEqual([
      ...Array<string>(4).fill('Error: no answer within 1000 ms'),
      ...Array<string>(2).fill('Error: no turn within 1000 ms'),
    ]);
    expect(started()).toBe(4);
    const again = Promise.allSettled(ask(6));
    await settled();
    for (const { end } of [...running]) end();
    expect((await again).slice(4).map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled']);
  });

  it('holds up no other registry while it hangs for one, which is not asked again for a while, and by one program then', async () => {
    const { clock, running, images, ask, started } = slowWorld({ cacheKeyType: 'Image' });
    const hanging = ask(9, { registries: 1 }).map((one) => one.catch(String));
    const [other] = ask(1, { first: 1 });
    await settled();
    expect(images()).toEqual(['r0.corp.test/x/0', 'r1.corp.test/x/0']);
    running[1]!.end();
    expect(await other).toHaveLength(1);

    running[0]!.end(hung());
    expect(await Promise.all(hanging)).toEqual(Array<string>(9).fill('Error: no answer within 1000 ms'));
    await expect(ask(1)[0]).rejects.toThrow('no answer within 1000 ms');
    expect([running.length, started()]).toEqual([0, 2]);

    clock.now = 15_000;
    const back = ask(9, { registries: 1 });
    await settled();
    expect(running).toHaveLength(1);
    for (let ended = 0; ended < 9; ended += 1) {
      running[0]!.end();
      await settled();
      expect(running.length).toBe(Math.min(2, 8 - ended));
    }
    expect((await Promise.all(back)).every((given) => given.length === 1)).toBe(true);
  });

  it('gives at once what is still good while its renewal waits for a turn, and never what is not', async () => {
    const { clock, running, ask, started } = slowWorld({ cacheKeyType: 'Image' });
    const end = async (programs: number): Promise<void> => {
      for (let ended = 0; ended < programs; ended += 1) {
        await settled();
        running[0]!.end();
      }
    };
    const first = ask(5);
    await end(5);
    await Promise.all(first);
    clock.now = 3_500_000;
    const ageing = ask(5);
    expect(await ageing[4]).toHaveLength(1);
    expect([running.length, started()]).toEqual([4, 9]);
    clock.now = 3_600_000;
    const late = ask(5)[4];
    await end(4);
    await expect(late).rejects.toThrow('no turn within 1000 ms');
    await Promise.all(ageing);
    expect(started()).toBe(9);

    clock.now = 7_000_000;
    const [, , , , again] = ask(5);
    await end(5);
    await again;
    clock.now = 10_400_000;
    expect(await ask(5)[4]).toHaveLength(1);
    await end(5);
    expect(started()).toBe(9 + 5 + 5);
  });

  it.each([
    ['a.corp.test', 'x', true],
    ['registry.test:5000', 'team/x', true],
    ['registry.test:5000', 'x', false],
    ['quay.io', 'x', false],
  ])('covers %s/%s: %s', (host, repository, expected) => {
    expect(world().provider.covers(host, repository)).toBe(expected);
  });
});

describe('a real program', () => {
  let folder: string;
  const script = (name: string, body: string): string => {
    const file = path.join(folder, name);
    writeFileSync(file, `#!/bin/sh\n${body}\n`);
    chmodSync(file, 0o755);
    return file;
  };
  beforeAll(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'kuik-plugin-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));
  const call = (body: string, timeoutMs = 5_000) =>
    runPlugin({ program: script('p', body), args: ['x'], env: { GIVEN: 'yes' }, input: 'question', timeoutMs });

  it('is asked by standard input, with the environment that the file names', async () => {
    expect(await call('echo "$1 $GIVEN $(cat) ${KUIK_CONFIG-none}"')).toBe('x yes question none\n');
  });

  it.each([
    [
      'fails',
      'echo "no role; token AbCdEfGhIjKlMnOpQrStUvWxYz012345" >&2; exit 3',
      'code 3: no role; token [long text]',
      5_000,
    ],
    ['hangs', 'exec sleep 60', new NoAnswerInTime('no answer within 200 ms'), 200],
    ['never stops', 'exec yes', 'wrote more than', 5_000],
  ])('that %s is told apart', async (_name, body, words, timeoutMs) => {
    await expect(call(body, timeoutMs)).rejects.toThrow(words);
  });

  it('that is not there is a mistake of the configuration', () => {
    const configFile = path.join(folder, 'config.yaml');
    writeFileSync(configFile, written());
    const config = credentialProvidersConfig.parse({ exec: { configFile, binDir: folder } });
    const parts = { now: () => 0, exchange: { refreshTokenFor: () => Promise.reject(new Error('none')) } };
    expect(() => configuredProviders(config, parts)).toThrow(`cannot run ${path.join(folder, 'corp-login')}: ENOENT`);
    script('corp-login', 'exit 0');
    expect(configuredProviders(config, parts).map(({ name }) => name)).toEqual(['exec corp-login']);
  });
});
