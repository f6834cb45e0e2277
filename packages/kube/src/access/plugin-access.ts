import type { RequestOptions } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { KubeError } from '../kube-error.ts';
import type { Access } from './access.ts';
import type { KubeconfigContext } from './kubeconfig.ts';
import { impersonation, tlsOf } from './kubeconfig-access.ts';
import { Remembered } from './remembered.ts';

/**
 * Access by an `exec` credential plugin or an `auth-provider`. These are @kubernetes/client-node's business; importing it costs
 * about a second and 70 MB, so it is loaded here, at the first call, and by nobody else.
 */
export function pluginAccess(context: KubeconfigContext, tokenMaxAgeMs: number): Access {
  // The plugin's answer is kept inside until it expires; only a 401 throws it away earlier.
  let config: KubeConfig | undefined;
  const login = new Remembered(async () => {
    const options: RequestOptions = {};
    try {
      config ??= await loadConfig(context);
      await config.applyToHTTPSOptions(options);
    } catch (error) {
      const said = (error as Error).message.trim().split('\n', 1)[0] ?? '';
      throw new KubeError(
        'unauthorized',
        `cannot log in with the plugin of context "${context.context}" in kubeconfig ${context.file}: ${said.slice(0, 200)}; run the plugin by hand`,
        { cause: error },
      );
    }
    return options;
  }, tokenMaxAgeMs);
  return {
    server: context.server,
    async tls() {
      const { cert, key } = await login.get();
      return {
        ...(await tlsOf(context)),
        ...(cert === undefined ? {} : { cert: cert as string }),
        ...(key === undefined ? {} : { key: key as string }),
      };
    },
    async headers() {
      const { headers, auth } = await login.get();
      const given = (headers as Record<string, string> | undefined)?.['Authorization'];
      const basic = typeof auth === 'string' ? `Basic ${Buffer.from(auth).toString('base64')}` : undefined;
      const authorization = given ?? basic;
      return { ...(authorization === undefined ? {} : { authorization }), ...impersonation(context) };
    },
    forget() {
      config = undefined;
      login.forget();
    },
  };
}

async function loadConfig({ file, context }: KubeconfigContext): Promise<KubeConfig> {
  const library = await import('@kubernetes/client-node');
  const config = new library.KubeConfig();
  config.loadFromFile(file);
  config.setCurrentContext(context);
  return config;
}
