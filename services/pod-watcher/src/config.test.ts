import { describe, expect, it } from '@jest/globals';
import { credentialRequesters } from '@kuik/contracts';
import { ConfigError } from '@kuik/runtime';
import { accountsOf, loadPodWatcherConfig, untouchedNamespaces } from './config.ts';

const env = { KUIK_NATS_URL: 'nats://n:4222', KUIK_REDIS_URL: 'redis://r:6379' };

describe('configuration', () => {
  it('has a default for everything but where the parts are', () => {
    const config = loadPodWatcherConfig(env);
    expect(config.expiry.unused).toBe(30 * 86_400_000);
    const { onEachNode, anywhere } = credentialRequesters();
    expect(accountsOf(config)).toEqual({
      nodeProxies: onEachNode.flatMap((name) => [`kuik-system-proxy/kuik-${name}`, `kuik-system/kuik-${name}`]),
      services: anywhere.map((name) => `kuik-system/kuik-${name}`),
      monitor: 'kuik-system/kuik-monitor',
    });
    expect(untouchedNamespaces(config)).toEqual(['kube-system', 'kuik-system', 'kuik-system-proxy']);
  });

  it('lets namespaces and accounts be named', () => {
    const config = loadPodWatcherConfig({
      ...env,
      KUIK_LEASE_NAMESPACE: 'images',
      KUIK_BROKER_SERVICES: '["images/robot"]',
    });
    expect(untouchedNamespaces(config)).toEqual(['kube-system', 'images', 'images-proxy']);
    expect(accountsOf(config).services).toEqual(['images/robot']);
    expect(accountsOf(config).nodeProxies[0]).toBe('images-proxy/kuik-node-proxy');
  });

  it('names every mistake at once', () => {
    const load = () =>
      loadPodWatcherConfig({ KUIK_EXPIRY_UNUSED: 'soon', KUIK_BROKER_SERVICES: '["monitor"]', KUIK_REDIS_URL: 'r' });
    expect(load).toThrow(ConfigError);
    let text = '';
    try {
      load();
    } catch (error) {
      text = (error as ConfigError).render();
    }
    for (const path of ['nats.url', 'expiry.unused', 'broker.services[0]']) expect(text).toContain(path);
  });
});
