import { runService } from '@kuik/runtime';
import { createApp } from './app.ts';
import { loadGcConfig } from './config.ts';

await runService({ name: 'gc', load: loadGcConfig, createApp });
