import { beforeEach, describe, expect, it } from '@jest/globals';
import { WEBHOOK_CA_SECRET, WEBHOOK_CONFIGURATION } from '@kuik/contracts';
import { MUTATING_WEBHOOK_CONFIGURATIONS, SECRETS, type KubeObject } from '@kuik/kube';
import { memoryKube, type MemoryKube } from '@kuik/kube/memory';
import { silentLogger } from '@kuik/runtime';
import type { ServingCertificate } from './admission-server.ts';
import { CertificateLoop } from './certificate-loop.ts';
import { ensureCertificates } from './certificate-secret.ts';

const DAY = 86_400_000;
const START = Date.parse('2026-11-01T00:00:00Z');
const signal = new AbortController().signal;
const wish = { hosts: ['127.0.0.1'], days: 30 };
const namespace = 'kuik-system';
const secretName = { namespace, name: WEBHOOK_CA_SECRET };

type Configuration = KubeObject & { webhooks: { name: string; clientConfig: { caBundle?: string } }[] };
type Secret = KubeObject & { data: Record<string, string> };

let kube: MemoryKube;
let now: number;
beforeEach(() => {
  kube = memoryKube();
  now = START;
});

const register = () =>
  kube.put<Configuration>(MUTATING_WEBHOOK_CONFIGURATIONS, {
    metadata: { name: WEBHOOK_CONFIGURATION },
    webhooks: [{ name: 'pods.kuik.enix.io', clientConfig: {} }],
  });
const bundle = () => {
  const found = kube.find<Configuration>(MUTATING_WEBHOOK_CONFIGURATIONS, { name: WEBHOOK_CONFIGURATION });
  return Buffer.from(found?.webhooks[0]?.clientConfig.caBundle ?? '', 'base64').toString();
};
const secret = () => kube.find<Secret>(SECRETS, secretName);
const authorities = () => Buffer.from(secret()?.data['ca.crt'] ?? '', 'base64').toString();

function loopOf() {
  const served: ServingCertificate[] = [];
  const trusted: string[] = [];
  const loop = new CertificateLoop({
    kube,
    namespace,
    wish,
    checkMs: 1_000,
    clock: { now: () => now, monotonic: () => now },
    log: silentLogger,
    use(certificate) {
      served.push(certificate);
      trusted.push(bundle());
    },
    onRound: () => undefined,
  });
  return { served, trusted, round: () => loop.round(signal) };
}

describe('ensureCertificates', () => {
  it('lets the first writer win: everybody gets the same', async () => {
    const made = await Promise.all(
      Array.from({ length: 4 }, () => ensureCertificates(kube, namespace, wish, new Date(now), signal)),
    );
    expect(new Set(made.map(({ set }) => set.certificate)).size).toBe(1);
    expect(made.filter((one) => one.made !== undefined)).toHaveLength(1);
  });

  it('does not overwrite what another replica renewed meanwhile', async () => {
    await ensureCertificates(kube, namespace, wish, new Date(now), signal);
    const later = new Date(now + 25 * DAY);
    const made = await Promise.all(
      Array.from({ length: 3 }, () => ensureCertificates(kube, namespace, wish, later, signal)),
    );
    expect(new Set(made.map(({ set }) => set.certificate)).size).toBe(1);
    expect(made.filter((one) => one.made === 'Expires')).toHaveLength(1);
  });

  it('repairs a Secret that holds something else', async () => {
    kube.put<Secret>(SECRETS, { metadata: secretName, data: { 'ca.crt': 'eHg=', other: 'eQ==' } });
    expect((await ensureCertificates(kube, namespace, wish, new Date(now), signal)).made).toBe('Unreadable');
    expect(secret()?.data['other']).toBe('eQ==');
  });

  it('gives up after losing again and again, and says so', async () => {
    kube.failNext('already-exists', { verb: 'create', times: 5 });
    await expect(ensureCertificates(kube, namespace, wish, new Date(now), signal)).rejects.toMatchObject({
      code: 'already-exists',
    });
  });
});

describe('CertificateLoop', () => {
  it('serves before it is registered, and is trusted as soon as it is', async () => {
    const { served, round } = loopOf();
    await expect(round()).rejects.toMatchObject({ code: 'not-found' });
    expect(served).toHaveLength(1);
    register();
    await round();
    expect(bundle()).toBe(authorities());
    expect(served).toHaveLength(1);
  });

  it('writes nothing while nothing changes', async () => {
    register();
    const { round } = loopOf();
    await round();
    const calls = kube.calls.length;
    await round();
    expect(kube.calls.slice(calls).map(({ verb }) => verb)).toEqual(['get', 'get']);
  });

  it('takes over what another replica made', async () => {
    register();
    const [one, two] = [loopOf(), loopOf()];
    await one.round();
    await two.round();
    expect(two.served).toEqual(one.served);
  });

  it('renews the certificate in its last third', async () => {
    register();
    const { served, round } = loopOf();
    await round();
    now += 21 * DAY;
    await round();
    expect(served).toHaveLength(2);
  });

  it('is trusted with a new authority one check before it serves anything of it, and the old one stays trusted', async () => {
    register();
    const { served, trusted, round } = loopOf();
    await round();
    const old = bundle();
    now += 260 * DAY;
    await round();
    expect(served).toHaveLength(1);
    await round();
    expect(served).toHaveLength(2);
    expect(trusted[1]).toBe(authorities());
    expect(trusted[1]).toContain(old);
  });

  it('goes on with the old certificate while a new authority cannot be registered', async () => {
    register();
    const { served, round } = loopOf();
    await round();
    now += 260 * DAY;
    kube.failNext('unavailable', { verb: 'get', resource: MUTATING_WEBHOOK_CONFIGURATIONS });
    await expect(round()).rejects.toMatchObject({ code: 'unavailable' });
    expect(served).toHaveLength(1);
    await round();
    expect(served).toHaveLength(1);
    await round();
    expect(served).toHaveLength(2);
  });

  it('lets the API server learn of an authority that another replica has made, too', async () => {
    register();
    const [one, two] = [loopOf(), loopOf()];
    await one.round();
    await two.round();
    now += 260 * DAY;
    await one.round();
    await two.round();
    expect(two.served).toHaveLength(1);
    await two.round();
    expect(two.served).toHaveLength(2);
  });

  it('waits another check when the registration lost the new authority meanwhile', async () => {
    register();
    const { served, round } = loopOf();
    await round();
    now += 260 * DAY;
    await round();
    register();
    await round();
    expect(served).toHaveLength(1);
    await round();
    expect(served).toHaveLength(2);
  });

  it('serves a new authority at once when the old one is not trusted any more', async () => {
    register();
    const { served, round } = loopOf();
    await round();
    await kube.delete(SECRETS, secretName);
    await round();
    expect(served).toHaveLength(2);
  });
});
