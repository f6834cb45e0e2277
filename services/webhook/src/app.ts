import { METRICS } from '@kuik/contracts';
import { openBus, type Bus } from '@kuik/bus';
import { openKube, type KubeClient } from '@kuik/kube';
import { composeParts, HealthServer, reportRounds, type App, type Part, type ServiceContext } from '@kuik/runtime';
import { admit } from './admit.ts';
import { AdmissionServer } from './admission-server.ts';
import { CertificateFiles } from './certificate-files.ts';
import { CertificateLoop } from './certificate-loop.ts';
import { servedHosts, type WebhookConfig } from './config.ts';
import { DecisionMemo } from './decision-memo.ts';
import { createReport } from './report-admission.ts';
import type { AdmissionRequest } from './review.ts';
import { compileRules } from './rules.ts';
import { warmUp } from './warm-up.ts';

/** Adapters that a test brings; those that are missing are made from the configuration. */
export interface WebhookAdapters {
  readonly bus?: Bus;
  readonly kube?: KubeClient;
}

/** The service, with the ports it listens on (0 before `start`). */
export interface WebhookApp extends App {
  readonly admissionPort: number;
  readonly healthPort: number;
}

/** Namespaces that are never touched: ours (we could not start without ourselves) and the cluster's own. */
const CLUSTER_NAMESPACE = 'kube-system';

/** Wires the webhook; starts nothing. */
export function createApp(config: WebhookConfig, context: ServiceContext, adapters: WebhookAdapters = {}): WebhookApp {
  const { log, metrics } = context;
  const bus = adapters.bus ?? openBus(config.nats, 'webhook', context);
  const rules = compileRules(config.rules, [config.namespace, CLUSTER_NAMESPACE]);
  const memo = new DecisionMemo(rules, config.proxyPrefixes);
  const report = createReport({ bus, log, metrics });
  const decideReview = (request: AdmissionRequest) => admit(request, { rules, memo });
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
      { name: 'warm-up', start: () => Promise.resolve(warmUp(decideReview)) },
      admission,
      ...certificatesOf(config, context, adapters.kube, admission),
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
  given: KubeClient | undefined,
  admission: AdmissionServer,
): Part[] {
  const { certificateFile, keyFile, check: checkMs, days } = config.certificate;
  const onRound = reportRounds(log, metrics, METRICS);
  const use = admission.use.bind(admission);
  if (certificateFile !== undefined && keyFile !== undefined) {
    return [new CertificateFiles({ certificateFile, keyFile, checkMs, use, onRound })];
  }
  const kube = given ?? openKube(config.kube, { metrics });
  const { namespace } = config;
  const wish = { hosts: servedHosts(config), days };
  return [
    { name: 'kube', close: () => kube.close() },
    new CertificateLoop({ kube, namespace, wish, checkMs, clock, log, use, onRound }),
  ];
}
