import { describe, expect, it } from '@jest/globals';
import { sealCredential, type BrokeredCredential, type CredentialReply, type CredentialRequest } from '@kuik/contracts';
import { accountFor, createCredentialClient, CredentialError } from './credential-client.ts';
import type { Bus } from './port.ts';

type Answer = BrokeredCredential | Error | { error: { code: string; message: string; retry: boolean } };

function world(timeoutMs = 100) {
  const clock = { now: 1_000_000 };
  const requests: CredentialRequest[] = [];
  const answers: Answer[] = [];
  let tokens = 0;
  const bus = {
    request: async (_subject: unknown, payload: CredentialRequest): Promise<CredentialReply> => {
      requests.push(payload);
      await Promise.resolve();
      const answer = answers.shift() ?? new Error('no responders');
      if (answer instanceof Error) throw answer;
      return 'error' in answer ? answer : { sealed: sealCredential(answer, payload.publicKey) };
    },
  } as unknown as Pick<Bus, 'request'>;
  const readToken = () => `token-${(tokens += 1)}`;
  const client = createCredentialClient(bus, { readToken, timeoutMs, now: () => clock.now });
  return { clock, requests, answers, client };
}

const bearer = (token: string, expiresAtMs: number): BrokeredCredential => ({ kind: 'bearer', token, expiresAtMs });
const ask = (w: ReturnType<typeof world>, options?: { renew?: boolean; pull?: boolean }) =>
  w.client.credential('quay.io', 'acme/api', options);

describe('createCredentialClient', () => {
  it('asks once while the credential is valid, and reads its own token anew for each request', async () => {
    const w = world();
    w.answers.push(bearer('a', w.clock.now + 300_000), bearer('b', w.clock.now + 900_000));
    expect(await ask(w)).toMatchObject({ token: 'a' });
    w.clock.now += 200_000;
    expect(await ask(w)).toMatchObject({ token: 'a' });
    w.clock.now += 96_000;
    expect(await ask(w)).toMatchObject({ token: 'b' });
    expect(w.requests.map(({ token }) => token)).toEqual(['token-1', 'token-2']);
    expect(w.requests[0]).toMatchObject({ host: 'quay.io', repository: 'acme/api' });
  });

  it('asks once for many callers at once, and apart for each repository', async () => {
    const w = world();
    w.answers.push(bearer('a', w.clock.now + 300_000), bearer('b', w.clock.now + 300_000));
    const all = await Promise.all([ask(w), ask(w), ask(w), w.client.credential('quay.io', 'acme/web')]);
    expect(all.map((one) => one.kind === 'bearer' && one.token)).toEqual(['a', 'a', 'a', 'b']);
    expect(w.requests).toHaveLength(2);
  });

  it('uses what it has until it expires when the broker is gone, and fails after that', async () => {
    const w = world();
    w.answers.push(bearer('a', w.clock.now + 60_000));
    await ask(w);
    w.clock.now += 40_000;
    expect(await ask(w)).toMatchObject({ token: 'a' });
    expect(w.requests).toHaveLength(2);
    w.clock.now += 16_000;
    await expect(ask(w)).rejects.toMatchObject({ failure: 'brokerUnavailable', retry: true });
  });

  it('renews on demand, past what it has', async () => {
    const w = world();
    w.answers.push(bearer('a', w.clock.now + 300_000), bearer('b', w.clock.now + 300_000));
    await ask(w);
    expect(await ask(w, { renew: true })).toMatchObject({ token: 'b' });
    expect(w.requests[1]).toMatchObject({ renew: true });
    expect(await ask(w)).toMatchObject({ token: 'b' });
  });

  it('does not fall back to a credential that did not work', async () => {
    const w = world();
    w.answers.push(bearer('a', w.clock.now + 300_000));
    await ask(w);
    await expect(ask(w, { renew: true })).rejects.toBeInstanceOf(CredentialError);
  });

  it('spares a silent broker for a moment, then asks again', async () => {
    const w = world();
    await expect(ask(w)).rejects.toMatchObject({ failure: 'brokerUnavailable' });
    await expect(w.client.credential('ghcr.io', 'x/y')).rejects.toMatchObject({ failure: 'brokerUnavailable' });
    expect(w.requests).toHaveLength(1);
    w.clock.now += 2_001;
    w.answers.push({ kind: 'anonymous' });
    expect(await ask(w)).toEqual({ kind: 'anonymous' });
  });

  it('takes a late answer as a matter of that repository alone', async () => {
    const w = world();
    w.answers.push(Object.assign(new Error('late'), { code: 'timeout' }), { kind: 'anonymous' });
    await expect(ask(w)).rejects.toMatchObject({ failure: 'brokerUnavailable' });
    expect(await w.client.credential('ghcr.io', 'x/y')).toEqual({ kind: 'anonymous' });
    await expect(ask(w)).rejects.toMatchObject({ failure: 'brokerUnavailable' });
    expect(w.requests).toHaveLength(2);
  });

  it('remembers a refusal briefly, with the code the broker gave', async () => {
    const w = world();
    w.answers.push({ error: { code: 'KUIK-CRD-403', message: 'no pod here uses it', retry: false } });
    await expect(ask(w)).rejects.toMatchObject({ failure: 'brokerDenied', message: 'no pod here uses it' });
    await expect(ask(w)).rejects.toMatchObject({ failure: 'brokerDenied' });
    expect(w.requests).toHaveLength(1);
    w.clock.now += 5_001;
    w.answers.push({ kind: 'anonymous' });
    expect(await ask(w)).toEqual({ kind: 'anonymous' });
  });

  it('asks for a pull, whatever became of a question for which none waits', async () => {
    const w = world();
    const limited = { error: { code: 'KUIK-REG-429', message: 'it limits us', retry: true } };
    w.answers.push(limited, limited, bearer('a', w.clock.now + 300_000));
    await expect(ask(w)).rejects.toMatchObject({ failure: 'brokerUnavailable', message: 'it limits us' });
    await expect(ask(w, { pull: true })).rejects.toMatchObject({
      failure: 'brokerUnavailable',
      message: 'it limits us',
    });
    for (const pull of [true, false])
      await expect(ask(w, { pull })).rejects.toMatchObject({ failure: 'brokerUnavailable', message: 'it limits us' });
    expect(w.requests.map(({ pull }) => pull)).toEqual([undefined, true]);
    w.clock.now += 6_000;
    const copy = ask(w);
    w.answers.push(bearer('b', w.clock.now + 300_000));
    const pulls = [1, 2].map(() => ask(w, { pull: true }));
    expect(await Promise.all([copy, ...pulls])).toMatchObject([{ token: 'a' }, { token: 'b' }, { token: 'b' }]);
    expect(w.requests.map(({ pull }) => pull)).toEqual([undefined, true, undefined, true]);
    expect(await ask(w)).toMatchObject({ token: 'b' });
  });

  it('takes a reply that is sealed to somebody else for silence', async () => {
    const other = world();
    const w = world();
    w.answers.push(bearer('a', w.clock.now + 300_000));
    const bus = {
      request: async () => ({ sealed: sealCredential({ kind: 'anonymous' }, other.requests[0]!.publicKey) }),
    } as unknown as Pick<Bus, 'request'>;
    other.answers.push({ kind: 'anonymous' });
    await ask(other);
    const client = createCredentialClient(bus, { readToken: () => 't', timeoutMs: 10 });
    await expect(client.credential('a.example', 'b')).rejects.toMatchObject({ failure: 'brokerUnavailable' });
  });
});

it.each<[string, Answer, string | undefined]>([
  ['a login', { kind: 'header', value: 'Basic x', expiresAtMs: 2_000_000, account: 'a'.repeat(32) }, 'a'.repeat(32)],
  ['strangers', { kind: 'anonymous' }, undefined],
  ['nobody while none can be had', new Error('no responders'), undefined],
])('the account of requests is that of %s', async (_whom, answer, account) => {
  const w = world();
  w.answers.push(answer);
  expect(await accountFor(w.client, 'quay.io', 'acme/api')).toBe(account);
  await ask(w).catch(() => undefined);
  expect(w.requests).toHaveLength(1);
});
