import { createKubeClient } from '@kuik/kube';
import type { App, ServiceContext } from '@kuik/runtime';
import type { KeysConfig } from './config.ts';
import { ensureKeys } from './ensure-keys.ts';
import { randomKeys } from './key-source.ts';
import { folderSecrets, kubeSecrets } from './secret-store.ts';

/** Wires the job: `start` makes what is missing, then there is nothing left to run. */
export function createApp(config: KeysConfig, { log }: ServiceContext): App {
  const { kube: kubeSettings, namespace, proxyNamespace, folder } = config;
  const kube = folder === undefined ? createKubeClient({ kubeconfig: kubeSettings.kubeconfig }) : undefined;
  const store = kube === undefined ? folderSecrets(folder!) : kubeSecrets(kube, namespace, proxyNamespace);
  return {
    start: async () => {
      const written = await ensureKeys(store, randomKeys);
      for (const [secret, fate] of Object.entries(written)) log.info('secret ensured', { name: secret, fate });
    },
    close: async () => kube?.close(),
  };
}
