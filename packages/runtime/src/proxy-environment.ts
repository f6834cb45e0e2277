import type { Tree } from './env-overlay.ts';
import type { Setting } from './setting-paths.ts';

/**
 * Lays HTTPS_PROXY and NO_PROXY, in either case, under `httpProxy` of a service that has this setting and none of its own in force: clusters
 * give them to every pod alike. `tree` is changed. HTTP_PROXY is not looked at: registries speak TLS.
 */
export function underlayProxyEnv(
  tree: Tree,
  settings: readonly Setting[],
  env: Readonly<Record<string, string | undefined>>,
): void {
  if (!settings.some(({ path }) => path.join('.') === 'httpProxy.url')) return;
  const url = env['HTTPS_PROXY'] || env['https_proxy'];
  const own = (tree['httpProxy'] ??= {});
  if (url === undefined || url === '' || typeof own !== 'object' || 'url' in (own as Tree)) return;
  const list = (env['NO_PROXY'] || env['no_proxy'] || '').split(',').map((entry) => entry.trim());
  const noProxy = list.filter((entry) => entry !== '');
  // As curl and Go read it: a proxy without a scheme is an HTTP one.
  Object.assign(own as Tree, { noProxy, ...(own as Tree), url: /^[a-z]+:\/\//i.test(url) ? url : `http://${url}` });
}
