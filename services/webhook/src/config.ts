import {
  DEFAULTS,
  duration,
  httpConfig,
  keyAndCertificate,
  kubeConfig,
  natsConfig,
  privateImagesMode,
  proxyPrefixes,
  rulesFileSetting,
} from '@kuik/contracts';
import { loadConfig, type Env } from '@kuik/runtime';
import { z } from 'zod';

const prefix = z.string().regex(/^[A-Za-z0-9.-]+(?::[0-9]+)?(?:\/[a-z0-9._-]+)*$/, 'must look like localhost:7439');

export const webhookConfig = z.strictObject({
  http: httpConfig,
  nats: natsConfig,
  kube: kubeConfig.prefault({}),
  /** Our own namespace: never rewritten, and where the Secret with the certificates lives. */
  namespace: z.string().default(DEFAULTS.namespace),
  listen: z
    .strictObject({
      host: z.string().default('0.0.0.0'),
      port: z.number().int().min(0).max(65535).default(9443).describe('HTTPS; 0 takes a free port'),
      bodyLimitBytes: z.number().int().positive().default(DEFAULTS.listen.bodyLimitBytes),
    })
    .prefault({}),
  admission: z
    .enum(['webhook', 'policy', 'auto'])
    .default('webhook')
    .describe('Who rewrites pods: this webhook, a policy in the API server, or the policy wherever it can'),
  policyCheck: duration({ minMs: 100 })
    .default(10_000)
    .describe('How often the admission policy is compared with the rules'),
  patience: duration()
    .default(180_000)
    .describe(
      'How long registration and policy are left alone when somebody else changed them: another replica, or Helm, may know newer rules (a file of rules takes up to two minutes to reach each node)',
    ),
  certificate: keyAndCertificate(
    z.strictObject({
      dnsNames: z
        .array(z.string())
        .default([])
        .describe(
          'Names and addresses the API server calls us by; empty: those of Service kuik-webhook in our namespace',
        ),
      days: z.number().int().min(1).max(3650).default(DEFAULTS.certificate.days),
      check: duration({ minMs: 100 }).default(30_000).describe('How often Secret and registration are compared'),
      certificateFile: z
        .string()
        .optional()
        .describe('PEM made by somebody else; then no Secret and no caBundle is touched'),
      keyFile: z.string().optional(),
    }),
  ).prefault({}),
  proxyPrefixes: proxyPrefixes.pipe(z.array(prefix)),
  rulesFile: rulesFileSetting,
  privateImages: z
    .strictObject({ mode: privateImagesMode })
    .prefault({})
    .describe('Pods get the pull secret that private images are served by, unless this is off'),
});
export type WebhookConfig = z.output<typeof webhookConfig>;

/** Configuration from the environment and KUIK_CONFIG; throws ConfigError with every mistake. */
export function loadWebhookConfig(env: Env): WebhookConfig {
  return loadConfig({ name: 'webhook', schema: webhookConfig, env });
}

/** What the serving certificate is issued for. */
export function servedHosts(config: WebhookConfig): readonly string[] {
  if (config.certificate.dnsNames.length > 0) return config.certificate.dnsNames;
  const service = `kuik-webhook.${config.namespace}`;
  return [`${service}.svc`, `${service}.svc.cluster.local`, service, 'kuik-webhook'];
}
