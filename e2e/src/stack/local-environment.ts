import { copyFileSync, chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { LocalStack } from './local-stack.ts';

/**
 * How anything else talks to a local stack: the text of `.kuik/local.env`. Copies the admin's kubeconfig into `folder` and writes the
 * seed of a NATS user of tests beside it.
 */
export function localEnvironment(stack: LocalStack, folder: string): string {
  const kubeconfig = path.join(folder, 'kubeconfig');
  copyFileSync(stack.controlPlane.kubeconfig, kubeconfig);
  chmodSync(kubeconfig, 0o600);
  const natsSeed = path.join(folder, 'nats.nk');
  writeFileSync(natsSeed, stack.stack.nats.testSeed, { mode: 0o600 });
  const proxy = stack.proxyPrefix;
  const variables: Record<string, string> = {
    KUBECONFIG: kubeconfig,
    PROXY_URL: `http://${proxy}`,
    WEBHOOK_URL: stack.webhookUrl,
    CACHE_URL: stack.cacheUrl,
    UPSTREAM_URL: stack.stack.upstream.url,
    FAULTS_URL: stack.faults.controlUrl,
    NATS_URL: stack.stack.nats.url,
    NATS_NKEY_FILE: natsSeed,
    REDIS_URL: stack.stack.redis.testUrl,
  };
  for (const [service, processes] of Object.entries(stack.services)) {
    variables[`METRICS_${service.toUpperCase().replaceAll('-', '_')}`] = processes
      .map((process) => process.metricsUrl)
      .join(',');
  }
  return `${Object.entries(variables)
    .map(([name, value]) => `${name}=${value}`)
    .join('\n')}\n`;
}
