import { runService } from '@kuik/runtime';
import { createApp } from './app.ts';
import { loadMonitorConfig } from './config.ts';

await runService({ name: 'monitor', load: loadMonitorConfig, createApp });
