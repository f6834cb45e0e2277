import { loadConfig, runService } from '@kuik/runtime';
import { createApp } from './app.ts';
import { configSchema } from './config.ts';

await runService({
  name: 'node-proxy',
  load: (env) => loadConfig({ name: 'node-proxy', schema: configSchema, env }),
  createApp: (config, context) => createApp(config, context),
  shutdownMs: 28_000,
});
