import { copyFileSync, chmodSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import type { LocalStack } from './local-stack.ts';

/**
 * How anything else talks to a local stack: the text of `.kuik/local.env`, and the lines that a person is shown. Copies the admin's
 * kubeconfig and writes a read-only registry token beside it.
 */
export function localEnvironment(stack: LocalStack, folder: string): { text: string; lines: string[] } {
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
  const pulled = [...stack.pushed.keys()].find((reference) => reference.includes('/shop:'));
  return {
    text: `${Object.entries(variables)
      .map(([name, value]) => `${name}=${value}`)
      .join('\n')}\n`,
    lines: [
      'The stack stays up (Ctrl-C stops it; logs in .kuik/runs). Try:',
      '  set -a; . .kuik/local.env; set +a; kubectl get cachedimages; kubectl describe cachedimages',
      ...(pulled === undefined
        ? [
            `  kubectl run hello --image=<a registry of yours>/<path>:<tag>; skopeo inspect --tls-verify=false docker://${proxy}/<the same>`,
          ]
        : [
            `  skopeo inspect --tls-verify=false docker://${proxy}/${pulled}`,
            `  kubectl run hello --image=${pulled}; kubectl get pod hello -o yaml     # what the webhook made of it, and its request id`,
            '  curl $FAULTS_URL          # script the upstream: faults, counts',
            '  curl -s $METRICS_NODE_PROXY | grep kuik_proxy',
          ]),
    ],
  };
}
