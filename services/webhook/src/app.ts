import { METRICS, ownNamespaces, SPARED_OWNERS } from '@kuik/contracts';
import { openBus, type Bus } from '@kuik/bus';
import { followConfigMap, openKube, type KubeClient } from '@kuik/kube';
import { Decider, rulesFile } from '@kuik/rules';
import {
  composeParts,
  followSettings,
  HealthServer,
  reportRounds,
  type App,
  type Part,
  type ServiceContext,
} from '@kuik/runtime';
import { admit } from './admit.ts';
import { AdmissionServer } from './admission-server.ts';
import { CertificateFiles } from './certificate-files.ts';
import { CertificateLoop } from './certificate-loop.ts';
import { servedHosts, type WebhookConfig } from './config.ts';
import { createReport } from './report-admission.ts';
import type { AdmissionRequest } from './review.ts';
import { warmUp } from './warm-up.ts';

/** Adapters that a test brings; those that are missing are made from the configuration. */
export interface WebhookAdapters {
  readonly bus?: Bus;
  readonly kube?: KubeClient;
}

/** How long a start waits to learn whose pods are not to be rewritten: without an answer, nobody's. */
const SPARED_FIRST_MS = 3_000;

/** The service, with the ports it listens on (0 before `start`). */
export interface WebhookApp extends App {
  readonly admissionPort: number;
  readonly healthPort: number;
}

/** Wires the webhook; starts nothing. Throws ConfigError with every mistake of the rules file. */
export function createApp(config: WebhookConfig, context: ServiceContext, adapters: WebhookAdapters = {}): WebhookApp {
  const { log, metrics } = context;
  const rules = followSettings({
    name: 'rules',
    file: config.rulesFile,
    schema: rulesFile,
    log,
    metrics,
    specs: { ...METRICS, reloads: METRICS.rulesReloads },
  });
  const options = { ownNamespaces: ownNamespaces(config.namespace), proxyPrefixes: config.proxyPrefixes };
  let decider = new Decider(rules.current, options);
  rules.onChange((file) => (decider = new Decider(file, options)));
  const bus = adapters.bus ?? openBus(config.nats, 'webhook', context);
  const report = createReport({ bus, log, metrics });
  const kube = adapters.kube ?? openKube(config.kube, context);
  const spared = followConfigMap({
    client: kube,
    map: { namespace: config.namespace, name: SPARED_OWNERS },
    host: context,
    firstMs: SPARED_FIRST_MS,
  });
  const isSpared = (uid: string): boolean => Object.hasOwn(spared.current()?.data ?? {}, uid);
  const decideReview = (request: AdmissionRequest) => admit(request, decider, isSpared);
  const admission = new AdmissionServer({
    ...config.listen,
    admit: decideReview,
    onAnswered: report.answered,
    onFailed: report.failed,
    onRefused: report.refused,
  });
  const health = new HealthServer({ ...config.http, metrics, notReady: () => parts.notReady() });
  const parts = composeParts(
    [
      health,
      { name: 'bus', close: () => bus.close() },
      { name: 'kube', close: () => kube.close() },
      rules,
      spared,
      { name: 'warm-up', start: () => Promise.resolve(warmUp(decideReview)) },
      admission,
      ...certificatesOf(config, context, kube, admission),
    ],
    { log },
  );
  return {
    start: () => parts.start(),
    close: () => parts.close(),
    get admissionPort() {
      return admission.port;
    },
    get healthPort() {
      return health.port;
    },
  };
}

function certificatesOf(
  config: WebhookConfig,
  { log, metrics, clock }: ServiceContext,
  kube: KubeClient,
  admission: AdmissionServer,
): Part[] {
  const { certificateFile, keyFile, check: checkMs, days } = config.certificate;
  const onRound = reportRounds(log, metrics, METRICS);
  const use = admission.use.bind(admission);
  if (certificateFile !== undefined && keyFile !== undefined) {
    return [new CertificateFiles({ certificateFile, keyFile, checkMs, use, onRound })];
  }
  const { namespace } = config;
  const wish = { hosts: servedHosts(config), days };
  return [new CertificateLoop({ kube, namespace, wish, checkMs, clock, log, use, onRound })];
}
