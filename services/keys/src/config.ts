import { DEFAULTS, kubeConfig, namespaceOf } from '@kuik/contracts';
import { loadConfig, type Env } from '@kuik/runtime';
import { z } from 'zod';

const keysConfig = z.strictObject({
  kube: kubeConfig.prefault({}),
  namespace: z.string().default(DEFAULTS.namespace).describe('Where the services and parts read their keys'),
  proxyNamespace: z
    .string()
    .default(namespaceOf({ runs: 'on-each-node' }))
    .describe('Where what runs on each node (the node proxy) reads its keys'),
  folder: z
    .string()
    .optional()
    .describe('Write files here instead of Secrets: <secret>/<key>. For stacks without a cluster'),
});
export type KeysConfig = z.output<typeof keysConfig>;

/** Configuration from the environment and KUIK_CONFIG; throws ConfigError with every mistake. */
export function loadKeysConfig(env: Env): KeysConfig {
  return loadConfig({ name: 'keys', schema: keysConfig, env });
}
