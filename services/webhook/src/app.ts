import { METRICS, ownNamespaces, SPARED_OWNERS } from '@kuik/contracts';
import { openBus, type Bus } from '@kuik/bus';
import { followConfigMap, openKube, type FollowedConfigMap, type KubeClient } from '@kuik/kube';
import { celRulesFile, Decider, rulesFile, type DeciderOptions, type RulesFile } from '@kuik/rules';
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
import { PolicyLoop } from './policy-loop.ts';
import { registrationLoop } from './registration-loop.ts';
import { RecentDecisions } from './recent-decisions.ts';
import { createReport } from './report-admission.ts';
import type { AdmissionRequest } from './review.ts';
import { warmUp } from './warm-up.ts';
import { answerWhy } from './why.ts';

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
    // A policy alone goes by what CEL can say: the rest is a mistake then.
    schema: config.admission === 'policy' ? celRulesFile : rulesFile,
    log,
    metrics,
    specs: { ...METRICS, reloads: METRICS.rulesReloads },
  });
  const options: DeciderOptions = {
    ownNamespaces: ownNamespaces(config.namespace),
    proxyPrefixes: config.proxyPrefixes,
    pullSecrets: config.privateImages.mode !== 'off',
  };
  let decider = new Decider(rules.current, options);
  rules.onChange((file) => (decider = new Decider(file, options)));
  const bus = adapters.bus ?? openBus(config.nats, 'webhook', context);
  const recent = new RecentDecisions();
  const remember = recent.remember.bind(recent);
  const report = createReport({ bus, log, metrics, remember, clock: context.clock });
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
  const health = new HealthServer({
    ...config.http,
    metrics,
    notReady: () => parts.notReady(),
    routes: (router) =>
      void router.get('/why', (request, response) => {
        const { status, body } = answerWhy(request.query, { recent, decider, ownNamespace: config.namespace });
        response
          .status(status)
          .type('json')
          .send(`${JSON.stringify(body, null, 2)}\n`);
      }),
  });
  const parts = composeParts(
    [
      health,
      { name: 'bus', close: () => bus.close() },
      { name: 'kube', close: () => kube.close() },
      rules,
      spared,
      { name: 'warm-up', start: () => Promise.resolve(warmUp(decideReview)) },
      admission,
      ...controlLoops(config, context, { kube, admission, options, spared, rules: () => rules.current }),
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

interface Controlled {
  readonly kube: KubeClient;
  readonly admission: AdmissionServer;
  readonly options: DeciderOptions;
  readonly spared: FollowedConfigMap;
  readonly rules: () => RulesFile;
}

/**
 * What keeps certificates, registration and admission policy in step. With certificates that somebody else makes, and no policy wished
 * for, nothing of the API server is touched.
 */
function controlLoops(
  config: WebhookConfig,
  { log, metrics, clock }: ServiceContext,
  { kube, admission, options, spared, rules }: Controlled,
): Part[] {
  const { certificateFile, keyFile, check: checkMs, days } = config.certificate;
  const onRound = reportRounds(log, metrics, METRICS);
  const use = admission.use.bind(admission);
  const files =
    certificateFile === undefined || keyFile === undefined
      ? undefined
      : new CertificateFiles({ certificateFile, keyFile, checkMs, use, onRound });
  if (files !== undefined && config.admission === 'webhook') return [files];
  const { namespace } = config;
  const wish = { hosts: servedHosts(config), days };
  const answers = (): boolean => admission.notReady() === undefined;
  const kept = { ...options, rules, kube, patienceMs: config.patience, clock, log, onRound };
  return [
    files ?? new CertificateLoop({ kube, namespace, wish, checkMs, clock, log, use, onRound }).part,
    registrationLoop({ ...kept, checkMs }),
    new PolicyLoop({ ...kept, spared, wish: config.admission, checkMs: config.policyCheck, answers, metrics }).part,
  ];
}
