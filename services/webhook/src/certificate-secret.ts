import { WEBHOOK_CA_SECRET } from '@kuik/contracts';
import { KubeError, orAbsent, SECRETS, type KubeClient, type KubeObject } from '@kuik/kube';
import {
  makeCertificates,
  planCertificates,
  splitBundle,
  type CertificateReason,
  type CertificateSet,
  type CertificateWish,
} from './plan-certificates.ts';

interface CertificateSecret extends KubeObject {
  type?: string;
  data?: Record<string, string>;
}

export interface EnsuredCertificates {
  readonly set: CertificateSet;
  /** Why new ones were made by this call; undefined when the stored ones were fine. */
  readonly made: CertificateReason | undefined;
}

/**
 * The certificates of Secret `kuik-webhook-ca`, made or renewed when need be. Of several replicas the first writer wins: who is
 * refused (the Secret exists by now, or has changed) reads again. Throws KubeError, `conflict` after losing several times in a row.
 */
export async function ensureCertificates(
  kube: Pick<KubeClient, 'get' | 'create' | 'mergePatch'>,
  namespace: string,
  wish: CertificateWish,
  now: Date,
  signal: AbortSignal,
): Promise<EnsuredCertificates> {
  for (let attempt = 1; ; attempt++) {
    const secret = await findSecret(kube, namespace, signal);
    const set = secret === undefined ? undefined : readSecret(secret);
    const plan = planCertificates(set, wish, now);
    if (plan.make === 'nothing' && set !== undefined) return { set, made: undefined };
    const made = makeCertificates(plan, set, wish, now);
    try {
      await writeSecret(kube, namespace, secret, made, signal);
      return { set: made, made: plan.reason };
    } catch (error) {
      const lost = error instanceof KubeError && (error.code === 'conflict' || error.code === 'already-exists');
      if (!lost || attempt === 5) throw error;
    }
  }
}

function findSecret(
  kube: Pick<KubeClient, 'get'>,
  namespace: string,
  signal: AbortSignal,
): Promise<CertificateSecret | undefined> {
  return orAbsent(kube.get<CertificateSecret>(SECRETS, { namespace, name: WEBHOOK_CA_SECRET }, { signal }));
}

async function writeSecret(
  kube: Pick<KubeClient, 'create' | 'mergePatch'>,
  namespace: string,
  before: CertificateSecret | undefined,
  set: CertificateSet,
  signal: AbortSignal,
): Promise<void> {
  const data = {
    'ca.crt': encode(set.authorities.join('')),
    'ca.key': encode(set.authorityKey),
    'tls.crt': encode(set.certificate),
    'tls.key': encode(set.key),
  };
  if (before === undefined) {
    const metadata = { name: WEBHOOK_CA_SECRET, namespace };
    await kube.create(
      SECRETS,
      { apiVersion: 'v1', kind: 'Secret', metadata, type: 'Opaque', data },
      { namespace, signal },
    );
    return;
  }
  // With its resourceVersion: a Secret that changed meanwhile is not overwritten.
  const { resourceVersion } = before.metadata;
  const name = { namespace, name: WEBHOOK_CA_SECRET };
  await kube.mergePatch(SECRETS, name, { metadata: { resourceVersion }, data }, { signal });
}

function readSecret(secret: CertificateSecret): CertificateSet {
  const field = (name: string): string => Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');
  return {
    authorities: splitBundle(field('ca.crt')),
    authorityKey: field('ca.key'),
    certificate: field('tls.crt'),
    key: field('tls.key'),
  };
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}
