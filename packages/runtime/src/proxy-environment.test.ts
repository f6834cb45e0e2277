import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { loadConfig } from './config.ts';

const httpProxy = z.strictObject({ url: z.string().optional(), noProxy: z.array(z.string()).default([]) }).prefault({});
const schema = z.strictObject({ httpProxy });
const load = (env: Record<string, string>) => loadConfig({ name: 'x', schema, env }).httpProxy;

describe('underlayProxyEnv', () => {
  it.each([
    [{}, { noProxy: [] }],
    [
      { HTTPS_PROXY: 'http://p:3128', NO_PROXY: '.corp, 10.0.0.0/8,' },
      { url: 'http://p:3128', noProxy: ['.corp', '10.0.0.0/8'] },
    ],
    [{ https_proxy: 'p:3128' }, { url: 'http://p:3128', noProxy: [] }],
    [{ HTTP_PROXY: 'http://p:3128' }, { noProxy: [] }],
    [{ NO_PROXY: '.corp' }, { noProxy: [] }],
    // A setting of ours wins.
    [
      { HTTPS_PROXY: 'http://p:3128', KUIK_HTTP_PROXY_URL: 'http://own:1' },
      { url: 'http://own:1', noProxy: [] },
    ],
    [
      { HTTPS_PROXY: 'http://p:3128', NO_PROXY: '.corp', KUIK_HTTP_PROXY_NO_PROXY: '.own' },
      { url: 'http://p:3128', noProxy: ['.own'] },
    ],
  ])('%j', (env, expected) => {
    expect(load(env)).toEqual(expected);
  });

  it('is nothing to a service that reaches no registry', () => {
    const other = z.strictObject({ a: z.string().default('b') });
    expect(loadConfig({ name: 'x', schema: other, env: { HTTPS_PROXY: 'http://p' } })).toEqual({ a: 'b' });
  });
});
