import { runService } from '@kuik/runtime';
import { createApp } from './app.ts';
import { loadWebhookConfig } from './config.ts';

await runService({ name: 'webhook', load: loadWebhookConfig, createApp });
