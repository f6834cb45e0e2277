import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** Where Go keeps what it downloads and compiles while parts are built; removed afterwards. */
export function goFolder(cache: string): string {
  return path.join(cache, 'go');
}

/**
 * The environment for `go`: everything it would keep in the home folder goes into the cache folder, while the person's own
 * settings (`go env -w`: a module proxy, say) stay in force.
 */
export function goEnvironment(
  cache: string,
  env: Readonly<Record<string, string | undefined>> = process.env,
  platform: NodeJS.Platform = process.platform,
): Record<string, string | undefined> {
  const go = goFolder(cache);
  const configuration = userConfigFolder(env, platform);
  const settings = env['GOENV'] ?? (configuration && path.join(configuration, 'go', 'env'));
  return {
    ...env,
    ...(settings && existsSync(settings) ? { GOENV: settings } : {}),
    // Go's own counters are kept below this folder, whatever is set.
    XDG_CONFIG_HOME: path.join(cache, 'home', 'config'),
    ...(platform === 'darwin' ? { HOME: path.join(cache, 'home') } : {}),
    GOPATH: path.join(go, 'path'),
    GOMODCACHE: path.join(go, 'mod'),
    GOCACHE: path.join(go, 'build'),
    GOTMPDIR: '',
    GOBIN: '',
    GOFLAGS: '-mod=readonly -modcacherw',
    GOWORK: 'off',
    GOTOOLCHAIN: 'local',
    CGO_ENABLED: '0',
    GOOS: '',
    GOARCH: '',
  };
}

function userConfigFolder(
  env: Readonly<Record<string, string | undefined>>,
  platform: NodeJS.Platform,
): string | undefined {
  const home = env['HOME'] || homedir();
  if (platform === 'darwin') return path.join(home, 'Library', 'Application Support');
  // The bootstrap has already pointed XDG_CONFIG_HOME into the cache folder and kept the person's own.
  return env['KUIK_USER_CONFIG_HOME'] || env['XDG_CONFIG_HOME'] || path.join(home, '.config');
}
