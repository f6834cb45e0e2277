import type { CertificateSource } from './listener.ts';

/** A certificate authority of one's own. */
export interface CertificateMaker {
  /** PEM of the authority's certificate: what clients must trust. */
  readonly ca: string;
  /** A server certificate for a name (with or without port), good for 127.0.0.1 and localhost too. */
  readonly certificate: CertificateSource;
}

/** Makes a new authority whose certificates live for the run. */
export async function makeCertificates(): Promise<CertificateMaker> {
  // Late, because the kit's door brings a web server and a logger along that plain HTTP does not need.
  const { createAuthority, issueCertificate } = await import('@kuik/runtime');
  const authority = createAuthority({ commonName: 'testbed authority', days: 30, now: new Date() });
  return {
    ca: authority.certificate,
    certificate: (name) => {
      const host = name.replace(/:[0-9]+$/, '');
      const issued = issueCertificate(authority, {
        commonName: host.slice(0, 64),
        days: 30,
        now: new Date(),
        hosts: [...new Set([host, 'localhost', '127.0.0.1'])],
        usages: ['server'],
      });
      return { key: issued.privateKey, cert: issued.certificate };
    },
  };
}
