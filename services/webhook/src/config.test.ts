import { describe, expect, it } from '@jest/globals';
import { ConfigError } from '@kuik/runtime';
import { loadWebhookConfig, servedHosts } from './config.ts';

const env = { KUIK_NATS_URL: 'nats://127.0.0.1:4222' };
const mistakesOf = (extra: Record<string, string>): string => {
  try {
    loadWebhookConfig({ ...env, ...extra });
    return '';
  } catch (error) {
    return error instanceof ConfigError ? error.render() : String(error);
  }
};

describe('loadWebhookConfig', () => {
  it('needs no more than where NATS is', () => {
    const config = loadWebhookConfig(env);
    expect(config).toMatchObject({
      proxyPrefixes: ['localhost:7439', '127.0.0.1:7439'],
      listen: { port: 9443 },
      namespace: 'kuik-system',
    });
    expect(servedHosts(config)).toContain('kuik-webhook.kuik-system.svc');
  });

  it('issues the certificate for the names it is told', () => {
    const config = loadWebhookConfig({ ...env, KUIK_CERTIFICATE_DNS_NAMES: '127.0.0.1,hook.test' });
    expect(servedHosts(config)).toEqual(['127.0.0.1', 'hook.test']);
  });

  it.each([
    ['a rules file that is not there', { KUIK_RULES_FILE: '/nowhere/rules.yaml' }, 'cannot read /nowhere/rules.yaml'],
    ['a prefix with a scheme', { KUIK_PROXY_PREFIXES: 'http://localhost:7439' }, 'must look like localhost:7439'],
    ['a certificate without its key', { KUIK_CERTIFICATE_CERTIFICATE_FILE: '/x' }, 'go together'],
  ])('refuses %s', (_, extra, message) => {
    expect(mistakesOf(extra)).toContain(message);
  });
});
