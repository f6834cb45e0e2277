import { loopPart, type Clock, type Logger, type Part, type Round } from '@kuik/runtime';
import type { KubeClient } from '@kuik/kube';
import type { ServingCertificate } from './admission-server.ts';
import { publishCaBundle } from './ca-bundle.ts';
import { ensureCertificates } from './certificate-secret.ts';
import type { CertificateSet, CertificateWish } from './plan-certificates.ts';

export interface CertificateLoopOptions {
  readonly kube: Pick<KubeClient, 'get' | 'create' | 'mergePatch'>;
  readonly namespace: string;
  readonly wish: CertificateWish;
  readonly checkMs: number;
  readonly clock: Clock;
  readonly log: Logger;
  readonly use: (certificate: ServingCertificate) => void;
  readonly onRound: (round: Round) => void;
}

/**
 * Keeps serving certificate and registration in step: Secret -> caBundle -> server, in that order, so that the API server trusts an
 * authority before anything signed by it is served: it reads its registrations a moment after they were written, so a new authority is
 * served one check later, unless nothing that is trusted is served meanwhile. Level-triggered: a changed Secret or a reset registration
 * is seen at the next check.
 */
export class CertificateLoop {
  /** Its start does not wait for the API server: readiness tells when there is a certificate. */
  readonly part: Part;
  readonly #options: CertificateLoopOptions;
  #served: CertificateSet | undefined;
  /** The newest authority that the registration had at the end of the last check. */
  #registered: string | undefined;

  constructor(options: CertificateLoopOptions) {
    const { checkMs, onRound } = options;
    this.#options = options;
    this.part = loopPart({
      name: 'certificates',
      everyMs: checkMs,
      deadlineMs: 20_000,
      backoff: { firstMs: 250, maxMs: checkMs },
      tick: (signal) => this.round(signal),
      onRound,
    });
  }

  /** One round; throws KubeError. */
  async round(signal: AbortSignal): Promise<void> {
    const { kube, namespace, wish, clock, log } = this.#options;
    const { set, made } = await ensureCertificates(kube, namespace, wish, new Date(clock.now()), signal);
    if (made !== undefined) log.info('webhook certificates made', { reason: made, hosts: wish.hosts });
    const [authority] = set.authorities;
    const before = this.#served?.authorities[0];
    // The same authority is trusted already: no need to wait for the registration.
    if (before === undefined || before === authority) this.#serve(set);
    const written = await publishCaBundle(kube, set.authorities.join(''), signal);
    if (written) log.info('caBundle written');
    const trusted = !written && this.#registered === authority;
    this.#registered = authority;
    if (trusted || before === undefined || !set.authorities.includes(before)) this.#serve(set);
  }

  #serve(set: CertificateSet): void {
    if (this.#served?.certificate === set.certificate && this.#served.key === set.key) return;
    this.#options.use({ key: set.key, certificate: set.certificate });
    this.#served = set;
    this.#options.log.info('serving certificate installed');
  }
}
