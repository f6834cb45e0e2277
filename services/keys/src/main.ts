import { runService } from '@kuik/runtime';
import { createApp } from './app.ts';
import { loadKeysConfig } from './config.ts';

await runService({ name: 'keys', load: loadKeysConfig, createApp, once: true });
