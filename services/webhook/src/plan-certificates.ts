import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { createAuthority, issueCertificate } from '@kuik/runtime';

/** What the Secret holds, decoded. `authorities` are PEM certificates, the newest first; the newest one's key signs. */
export interface CertificateSet {
  readonly authorities: readonly string[];
  readonly authorityKey: string;
  readonly certificate: string;
  readonly key: string;
}

export interface CertificateWish {
  /** Names and addresses under which the API server reaches us. */
  readonly hosts: readonly string[];
  /** Validity of the serving certificate. */
  readonly days: number;
}

export const CERTIFICATE_REASONS = {
  valid: 'Valid',
  missing: 'Missing',
  unreadable: 'Unreadable',
  authorityExpires: 'AuthorityExpires',
  expires: 'Expires',
  namesMissing: 'NamesMissing',
} as const;
export type CertificateReason = (typeof CERTIFICATE_REASONS)[keyof typeof CERTIFICATE_REASONS];

export interface CertificatePlan {
  readonly make: 'nothing' | 'certificate' | 'everything';
  readonly reason: CertificateReason;
}

const DAY_MS = 86_400_000;
const AUTHORITY_LIFETIMES = 10;
/** The authority is renewed while it can still vouch for a whole serving certificate. */
const AUTHORITY_LEAD_LIFETIMES = 1.5;
const LEAD = 1 / 3;

/**
 * Whether the set can be served, in this order: nothing there; not readable, or its parts do not fit; the authority's end is near; the
 * certificate is in its last third; a wished name is not covered (names of other replicas stay: they may be configured otherwise).
 */
export function planCertificates(set: CertificateSet | undefined, wish: CertificateWish, now: Date): CertificatePlan {
  if (set === undefined) return { make: 'everything', reason: CERTIFICATE_REASONS.missing };
  const parsed = parse(set);
  if (parsed === undefined) return { make: 'everything', reason: CERTIFICATE_REASONS.unreadable };
  const { authority, certificate } = parsed;
  if (remainingMs(authority, now) < wish.days * DAY_MS * AUTHORITY_LEAD_LIFETIMES) {
    return { make: 'everything', reason: CERTIFICATE_REASONS.authorityExpires };
  }
  if (remainingMs(certificate, now) < wish.days * DAY_MS * LEAD) {
    return { make: 'certificate', reason: CERTIFICATE_REASONS.expires };
  }
  const covered = new Set(hostsOf(certificate));
  if (!wish.hosts.every((host) => covered.has(canonicalName(host)))) {
    return { make: 'certificate', reason: CERTIFICATE_REASONS.namesMissing };
  }
  return { make: 'nothing', reason: CERTIFICATE_REASONS.valid };
}

/** Carries the plan out. Authorities that are still valid stay in the bundle, so that what they signed is trusted until it is replaced. */
export function makeCertificates(
  plan: CertificatePlan,
  set: CertificateSet | undefined,
  wish: CertificateWish,
  now: Date,
): CertificateSet {
  const parsed = set === undefined ? undefined : parse(set);
  if (plan.make === 'nothing' && set !== undefined) return set;
  const keepAuthority = plan.make === 'certificate' && set !== undefined;
  const authority = keepAuthority
    ? { privateKey: set.authorityKey, certificate: set.authorities[0]! }
    : createAuthority({ commonName: 'kuik webhook authority', days: wish.days * AUTHORITY_LIFETIMES, now });
  const older = keepAuthority ? set.authorities.slice(1) : parsed === undefined ? [] : set!.authorities;
  const hosts = [
    ...new Set([...wish.hosts.map(canonicalName), ...(parsed === undefined ? [] : hostsOf(parsed.certificate))]),
  ];
  const leaf = issueCertificate(authority, {
    commonName: 'kuik-webhook',
    days: wish.days,
    now,
    hosts,
    usages: ['server'],
  });
  return {
    authorities: [authority.certificate, ...older.filter((pem) => remainingMs(new X509Certificate(pem), now) > 0)],
    authorityKey: authority.privateKey,
    certificate: leaf.certificate,
    key: leaf.privateKey,
  };
}

/** Splits a PEM bundle into its certificates. */
export function splitBundle(bundle: string): string[] {
  return (bundle.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? []).map((pem) => `${pem}\n`);
}

function parse(set: CertificateSet): { authority: X509Certificate; certificate: X509Certificate } | undefined {
  try {
    const authority = new X509Certificate(set.authorities[0] ?? '');
    set.authorities.forEach((pem) => new X509Certificate(pem));
    const certificate = new X509Certificate(set.certificate);
    const fits =
      authority.ca &&
      authority.checkPrivateKey(createPrivateKey(set.authorityKey)) &&
      certificate.checkPrivateKey(createPrivateKey(set.key)) &&
      certificate.verify(authority.publicKey);
    return fits ? { authority, certificate } : undefined;
  } catch {
    return undefined;
  }
}

function remainingMs(certificate: X509Certificate, now: Date): number {
  return certificate.validToDate.getTime() - now.getTime();
}

/** The subject's alternative names: `DNS:a.b, IP Address:127.0.0.1`. */
function hostsOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '')
    .split(', ')
    .map((name) => canonicalName(name.replace(/^(?:DNS|IP Address):/, '')))
    .filter((name) => name !== '');
}

/** One spelling per name: `0:0:0:0:0:0:0:1` is `::1`. */
function canonicalName(name: string): string {
  return isIPv6(name) ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase();
}
