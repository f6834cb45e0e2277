import type { Bus } from '@kuik/bus';
import { ACCESS_RECORDS, type CachedImage } from '@kuik/contracts';
import { CACHED_IMAGES, type KubeClient } from '@kuik/kube';
import type { RefreshTokenExchange } from '@kuik/registry';
import type { Logger } from '@kuik/runtime';
import { AccessBroker } from './access-broker.ts';
import { AccessRecords } from './access-records.ts';
import { AccessSources } from './access-sources.ts';
import { Answers, type AnswersParts } from './answers.ts';
import { CredentialChooser } from './choose-credential.ts';
import type { ClusterView } from './cluster-view.ts';
import { accountsOf, type PodWatcherConfig } from './config.ts';
import { CredentialBroker } from './credential-broker.ts';
import type { ProvingRegistry } from './prove-access.ts';
import { configuredProviders } from './providers/configured-providers.ts';
import { ProvidedLogins } from './providers/provided-logins.ts';
import type { MetricReports } from './report-metrics.ts';
import { SecretReader } from './secret-reader.ts';
import { TokenReviews } from './token-reviews.ts';

/** Shorter than what a node waits for an answer. */
const UPSTREAM_PATIENCE_MS = 2_000;
const COPY_WAIT_MS = 1_000;

export interface AnsweringParts extends Pick<AnswersParts, 'hints' | 'mayConfirm'> {
  readonly kube: KubeClient;
  readonly bus: Bus;
  readonly registry: ProvingRegistry & RefreshTokenExchange;
  readonly view: ClusterView;
  readonly reports: Pick<MetricReports, 'provider' | 'access' | 'broker'>;
  readonly now: () => number;
  readonly log: Logger;
}

/** What answers our other services: who gets which credential, who may pull what, who holds an image. Starts nothing. */
export function answering(
  config: PodWatcherConfig,
  { kube, bus, registry, view, hints, mayConfirm, reports, now, log }: AnsweringParts,
): { readonly access: AccessBroker; readonly answers: Answers } {
  const { broker, credentialProviders, privateImages } = config;
  const providers = new ProvidedLogins({
    providers: configuredProviders(credentialProviders, { now, exchange: registry }),
    patienceMs: credentialProviders.patience,
    count: reports.provider,
  });
  const reviews = new TokenReviews({
    kube,
    view,
    rules: { audience: broker.audience, ...accountsOf(config) },
    reviewTtlMs: broker.reviewTtl,
    now,
  });
  const secrets = new SecretReader(kube, broker.secretTtl, now);
  const access = new AccessBroker({
    reviews,
    view,
    sources: new AccessSources({ view, secrets, providers }),
    records: new AccessRecords(bus.bucket(ACCESS_RECORDS, { create: true }), log),
    registry,
    rules: {
      publicForMs: privateImages.publicFor,
      verdictForMs: privateImages.verdictFor,
      graceMs: privateImages.grace,
      unknownWhenDown: privateImages.unknownWhenDown,
    },
    granted: privateImages.namespaces,
    podWaitMs: broker.podWait,
    patienceMs: UPSTREAM_PATIENCE_MS,
    copyWaitMs: COPY_WAIT_MS,
    now,
    log,
    count: reports.access,
  });
  const answers = new Answers({
    bus,
    view,
    hints,
    access,
    broker: new CredentialBroker({
      reviews,
      view,
      secrets,
      chooser: new CredentialChooser({ exchange: registry, now, headerTtlMs: broker.headerTtl, providers }),
      podWaitMs: broker.podWait,
      fallbackSecrets: broker.fallbackSecrets,
      now,
      log,
      count: reports.broker,
    }),
    mayConfirm,
    readImage: (name) => kube.get<CachedImage>(CACHED_IMAGES, { name }),
  });
  return { access, answers };
}
