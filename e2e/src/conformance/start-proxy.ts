import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { freePort, startService, type CacheRegistry } from '@kuik/testbed';

export interface AloneProxy {
  readonly url: string;
  stop(): Promise<void>;
}

/**
 * A node proxy that knows nothing but its cache and its upstreams, by name: each is reached over plain HTTP at `host:port`. It remembers no tag:
 * whoever writes here looks at once.
 */
export async function startProxy(
  cache: CacheRegistry,
  upstreams: Readonly<Record<string, string>>,
): Promise<AloneProxy> {
  const folder = mkdtempSync(path.join(tmpdir(), 'kuik-conformance-'));
  const file = (name: string, text: string): string => {
    const at = path.join(folder, name);
    writeFileSync(at, text, { mode: 0o600 });
    return at;
  };
  const [port, healthPort] = [await freePort(), await freePort()];
  const proxy = await startService('node-proxy', {
    healthPort,
    env: {
      KUIK_LISTEN: `127.0.0.1:${port}`,
      KUIK_HTTP_HOST: '127.0.0.1',
      KUIK_HTTP_PORT: String(healthPort),
      KUIK_CACHE_URL: cache.readerUrl,
      KUIK_CACHE_KEY_FILE: file('key.pem', cache.readerKey.privateKey),
      KUIK_CACHE_CERTIFICATE_FILE: file('certificate.pem', cache.readerKey.certificate),
      KUIK_PROXY_TAG_MEMORY: '1ms',
      KUIK_REGISTRIES: JSON.stringify(
        Object.fromEntries(Object.entries(upstreams).map(([name, address]) => [name, { address, plainHTTP: true }])),
      ),
    },
  });
  return {
    url: `http://127.0.0.1:${port}`,
    async stop() {
      await proxy.stop();
      rmSync(folder, { recursive: true });
    },
  };
}
