import { describe, expect, it } from '@jest/globals';
import { CredentialError } from '@kuik/bus';
import type { BrokeredCredential } from '@kuik/contracts';
import { parseReference } from '@kuik/image';
import { RegistryError, type Credential, type RegistryAccess, type RegistryErrorCode } from '@kuik/registry';
import { checkUpstream } from './check-upstream.ts';
import { DIGEST } from './fixtures.ts';
import type { Ask } from './what-to-ask.ts';

const signal = new AbortController().signal;
type Answer = RegistryErrorCode | 'ok' | 'hang';

function aborted(ending: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    const end = () => reject(new RegistryError('aborted', 'aborted by the caller'));
    if (ending.aborted) end();
    else ending.addEventListener('abort', end);
  });
}

/** A registry whose answers depend on the credential it is shown. */
function registryOf(answer: (credentials: readonly Credential[]) => Answer) {
  const asked: string[] = [];
  const registry: Pick<RegistryAccess, 'upstream'> = {
    upstream: (host, repository, source, options) =>
      ({
        host,
        repository,
        headManifest: async (reference: string, { signal: ending }: { signal: AbortSignal }) => {
          // Token servers are asked for pulls first.
          expect(options).toEqual({ background: true });
          const credentials = await source.credentials({ host, repository, actions: ['pull'] });
          asked.push(`${host}/${repository} ${reference}`);
          const code = answer(credentials);
          if (code === 'hang') await aborted(ending);
          if (code !== 'ok')
            throw new RegistryError(code as RegistryErrorCode, `upstream said ${code}`, { retryAfterMs: 5 });
          return { digest: DIGEST, mediaType: 'x', size: 1 };
        },
      }) as unknown as ReturnType<RegistryAccess['upstream']>,
  };
  return { registry, asked };
}

const brokerOf = (answer: (renew: boolean) => BrokeredCredential | CredentialError) => ({
  credential: (_: string, __: string, { renew = false } = {}) => {
    const credential = answer(renew);
    return credential instanceof CredentialError ? Promise.reject(credential) : Promise.resolve(credential);
  },
});
const bearer = (token: string): BrokeredCredential => ({ kind: 'bearer', token, expiresAtMs: Infinity });
const tokenOf = ([credential]: readonly Credential[]) => (credential?.kind === 'bearer' ? credential.token : undefined);
const silent = new CredentialError('brokerUnavailable', 'nobody answers', { retry: true });
const denied = new CredentialError('brokerDenied', 'not yours', { retry: false });

const check = (
  answer: (credentials: readonly Credential[]) => Answer,
  credentials?: ReturnType<typeof brokerOf>,
  reference = 'ghcr.io/acme/api:v2',
) => {
  const { registry, asked } = registryOf(answer);
  const parsed = parseReference(reference);
  const ask: Ask = { by: 'tag', reference: parsed.digest ?? parsed.tag!, resolve: false };
  return checkUpstream(parsed, ask, { registry, credentials, timeoutMs: 100, method: 'HEAD' }, signal).then(
    (result) => ({
      result,
      asked,
    }),
  );
};

describe('checkUpstream', () => {
  it.each([
    ['ghcr.io/acme/api:v2', 'ghcr.io/acme/api v2'],
    ['nginx', 'docker.io/library/nginx latest'],
    [`a.test/b:1@${DIGEST}`, `a.test/b ${DIGEST}`],
  ])('asks for %s once, anonymously without a broker', async (reference, expected) => {
    const { result, asked } = await check(() => 'ok', undefined, reference);
    expect(result).toEqual({ kind: 'seen', digest: DIGEST });
    expect(asked).toEqual([expected]);
  });

  it('shows what the broker gave', async () => {
    const { result } = await check(
      (credentials) => (tokenOf(credentials) === 't' ? 'ok' : 'unauthorized'),
      brokerOf(() => bearer('t')),
    );
    expect(result.kind).toBe('seen');
  });

  it('tells which secrets were tried, and which gave no login', async () => {
    const told = { tried: ['acme/a'], unread: [{ name: 'acme/b', mistake: 'has no key .dockercfg' }] };
    const { result } = await check(
      () => 'unauthorized',
      brokerOf(() => ({ ...bearer('t'), ...told })),
    );
    expect(result).toMatchObject(told);
  });

  it('renews a credential that was refused, once', async () => {
    const broker = brokerOf((renew) => bearer(renew ? 'new' : 'old'));
    const { result, asked } = await check((shown) => (tokenOf(shown) === 'new' ? 'ok' : 'unauthorized'), broker);
    expect(result.kind).toBe('seen');
    expect(asked).toHaveLength(2);
    const refused = await check(() => 'forbidden', broker);
    expect(refused.result).toMatchObject({ kind: 'failed', code: 'forbidden' });
    expect(refused.asked).toHaveLength(2);
  });

  it.each<[RegistryErrorCode, CredentialError, string]>([
    ['unauthorized', silent, 'undecided'],
    ['forbidden', silent, 'undecided'],
    ['not-found', silent, 'undecided'],
    ['server-error', silent, 'failed'],
    ['rate-limited', silent, 'failed'],
    ['unauthorized', denied, 'failed'],
    ['not-found', denied, 'failed'],
  ])('%s without a credential, because %s: %s', async (code, failure, kind) => {
    const { result } = await check(
      () => code,
      brokerOf(() => failure),
    );
    expect(result.kind).toBe(kind);
  });

  it('sees a public image while the broker is silent', async () => {
    const { result } = await check(
      () => 'ok',
      brokerOf(() => silent),
    );
    expect(result.kind).toBe('seen');
  });

  it("passes on the registry's code and when it wants to be asked again", async () => {
    const { result } = await check(() => 'rate-limited');
    expect(result).toEqual({
      kind: 'failed',
      code: 'rate-limited',
      message: 'upstream said rate-limited',
      retryAfterMs: 5,
    });
  });

  it('gives up on a registry that never answers', async () => {
    const { result } = await check(() => 'hang');
    expect(result).toMatchObject({ kind: 'failed', code: 'timeout' });
  });

  describe('the tag that lies: its manifest answers 200, what it names 404', () => {
    const OTHER = `sha256:${'b'.repeat(64)}`;
    const lying = (method: 'HEAD' | 'GET', ask: Ask, remaining = 5) => {
      const asked: string[] = [];
      const look = (by: string) => (reference: string) => {
        asked.push(`${by} ${reference}`);
        const rateLimit = { remaining };
        if (reference === OTHER) return Promise.reject(new RegistryError('not-found', 'said 404', { rateLimit }));
        return Promise.resolve({ digest: OTHER, mediaType: 'x', size: 1, rateLimit });
      };
      const client = { headManifest: look('HEAD'), openManifest: look('GET') };
      const registry = { upstream: () => client } as unknown as Pick<RegistryAccess, 'upstream'>;
      const reference = parseReference('a.test/b:1');
      return checkUpstream(reference, ask, { registry, timeoutMs: 100, method }, signal).then((result) => ({
        result,
        asked,
      }));
    };
    const byTag = (known?: string): Ask => ({ by: 'tag', reference: '1', resolve: true, known });
    const lie = { kind: 'failed', code: 'not-found', digest: OTHER };

    it.each<[string, Ask, object, string[]]>([
      ['is found out when its digest was not known', byTag(DIGEST), lie, ['HEAD 1', `HEAD ${OTHER}`]],
      ['answers one request once its digest is known', byTag(OTHER), { kind: 'seen', digest: OTHER }, ['HEAD 1']],
      ['is found out by its digest then', { by: 'digest', digest: OTHER, tag: '1' }, lie, [`HEAD ${OTHER}`, 'HEAD 1']],
      ['is asked for one thing while it goes on', { by: 'digest', digest: OTHER }, lie, [`HEAD ${OTHER}`]],
      ['is believed without resolveDigest', { ...byTag(), resolve: false } as Ask, { kind: 'seen' }, ['HEAD 1']],
    ])('%s', async (_, ask, expected, requests) => {
      const { result, asked } = await lying('HEAD', ask);
      expect(result).toMatchObject(expected);
      expect(asked).toEqual(requests);
    });

    it('is asked for by GET where that is wished for, and what is left of a quota is read', async () => {
      expect(await lying('GET', byTag(OTHER), 0)).toEqual({
        result: { kind: 'seen', digest: OTHER, exhausted: true },
        asked: ['GET 1'],
      });
      const refused = (remaining: number) => lying('GET', { by: 'digest', digest: OTHER, tag: '1' }, remaining);
      expect((await refused(0)).result).toEqual({ ...lie, message: 'said 404', exhausted: true });
      expect((await refused(5)).result).not.toHaveProperty('exhausted');
    });
  });

  it.each<[string, string | undefined, object]>([
    ['the tag is gone, too', undefined, { kind: 'failed', code: 'not-found', message: 'said 404 of 1' }],
    ['the tag has gone on', `sha256:${'b'.repeat(64)}`, { kind: 'seen', digest: `sha256:${'b'.repeat(64)}` }],
  ])('a digest that was named last is gone: %s', async (_what, named, expected) => {
    const asked: string[] = [];
    const headManifest = async (reference: string) => {
      asked.push(reference);
      const digest = reference === '1' ? named : reference === DIGEST ? undefined : reference;
      if (digest === undefined) throw new RegistryError('not-found', `said 404 of ${reference}`);
      return { digest, mediaType: 'x', size: 1 };
    };
    const registry = { upstream: () => ({ headManifest }) } as unknown as Pick<RegistryAccess, 'upstream'>;
    const ask = { by: 'digest', digest: DIGEST, tag: '1' } as const;
    const options = { registry, timeoutMs: 5_000, method: 'HEAD' } as const;
    const result = await checkUpstream(parseReference('a.test/b:1'), ask, options, signal);
    expect(result).toMatchObject(expected);
    expect(result).not.toHaveProperty('by');
    expect(Object.hasOwn(result, 'digest')).toBe(named !== undefined);
    expect(asked).toEqual([DIGEST, '1']);
  });

  it('throws when it is told to stop', async () => {
    const { registry } = registryOf(() => 'hang');
    const ending = new AbortController();
    const ask = { by: 'digest', digest: DIGEST, tag: '1' } as const;
    const options = { registry, timeoutMs: 5_000, method: 'HEAD' } as const;
    const running = checkUpstream(parseReference('a.test/b:1'), ask, options, ending.signal);
    ending.abort(new Error('closing'));
    await expect(running).rejects.toThrow('closing');
  });
});
