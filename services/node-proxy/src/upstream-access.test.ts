import { describe, expect, it } from '@jest/globals';
import { CredentialError, type CredentialClient } from '@kuik/bus';
import type { BrokeredCredential } from '@kuik/contracts';
import { RegistryError, type CredentialSource, type RegistryAccess, type RegistryErrorCode } from '@kuik/registry';
import { UpstreamAccess } from './upstream-access.ts';

const app = { host: 'ghcr.io', path: 'acme/api' };
type Answer = 'ok' | RegistryErrorCode;

/** An upstream that answers by credential, and a broker that answers in turn. */
function world(upstream: Record<string, Answer>, broker: (BrokeredCredential | CredentialError)[]) {
  const sent: string[] = [];
  const renewals: boolean[] = [];
  const clock = { now: 0 };
  const registry = {
    upstream: (_host: string, _path: string, source: CredentialSource) => ({
      async read() {
        const [credential] = await source.credentials({ host: 'h', repository: 'r', actions: ['pull'] });
        const name = credential?.kind === 'header' ? credential.value : 'anonymous';
        sent.push(name);
        const answer = upstream[name] ?? 'unauthorized';
        if (answer !== 'ok') throw new RegistryError(answer, `upstream says ${answer}`);
        return name;
      },
    }),
  } as unknown as Pick<RegistryAccess, 'upstream'>;
  const credentials: CredentialClient = {
    credential(_host, _repository, options) {
      renewals.push(options?.renew === true);
      const answer = broker.shift() ?? new CredentialError('brokerUnavailable', 'no answer', { retry: true });
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
  };
  const access = new UpstreamAccess({ registry, credentials, now: () => clock.now });
  const read = () => access.ask(app, 'r-1', (client) => (client as unknown as { read(): Promise<string> }).read());
  return { sent, renewals, clock, read };
}

const header = (value: string): BrokeredCredential => ({ kind: 'header', value, expiresAtMs: Infinity });
const denied = new CredentialError('brokerDenied', 'no pod here', { retry: false });

describe('UpstreamAccess', () => {
  it('does not ask the broker for what is public', async () => {
    const { read, renewals } = world({ anonymous: 'ok' }, []);
    expect(await read()).toBe('anonymous');
    expect(renewals).toEqual([]);
  });

  it.each<[RegistryErrorCode]>([['unauthorized'], ['forbidden'], ['not-found'], ['rate-limited']])(
    'asks the broker after %s, and goes straight there the next time, for a while',
    async (code) => {
      const { read, sent, clock } = world({ anonymous: code, good: 'ok' }, [
        header('good'),
        header('good'),
        header('good'),
      ]);
      expect([await read(), await read()]).toEqual(['good', 'good']);
      expect(sent).toEqual(['anonymous', 'good', 'good']);
      clock.now = 3_600_000;
      await read();
      expect(sent.slice(3)).toEqual(['anonymous', 'good']);
    },
  );

  it.each<[RegistryErrorCode]>([['timeout'], ['refused'], ['server-error'], ['tls']])(
    'does not ask the broker after %s: a credential would not help',
    async (code) => {
      const { read, renewals } = world({ anonymous: code }, []);
      await expect(read()).rejects.toMatchObject({ code, credentialUsed: false });
      expect(renewals).toEqual([]);
    },
  );

  it('renews a refused credential once, and says that one was used', async () => {
    const { read, renewals } = world({ good: 'ok' }, [header('old'), header('good')]);
    expect(await read()).toBe('good');
    expect(renewals).toEqual([false, true]);
    const refused = world({}, [header('old'), header('older')]);
    await expect(refused.read()).rejects.toMatchObject({ code: 'unauthorized', credentialUsed: true });
  });

  it('says what the broker said when it gives nothing', async () => {
    await expect(world({}, [denied]).read()).rejects.toMatchObject({ broker: 'brokerDenied', credentialUsed: false });
    await expect(world({}, []).read()).rejects.toMatchObject({ broker: 'brokerUnavailable' });
    const none = world({ anonymous: 'not-found' }, [{ kind: 'anonymous' }]);
    await expect(none.read()).rejects.toMatchObject({ code: 'not-found', broker: undefined });
  });

  it('says so also for a repository that is known to need a credential', async () => {
    const { read, sent } = world({ good: 'ok' }, [header('good')]);
    await read();
    await expect(read()).rejects.toMatchObject({ code: 'unauthorized', broker: 'brokerUnavailable' });
    expect(sent).toEqual(['anonymous', 'good', 'anonymous']);
  });
});
