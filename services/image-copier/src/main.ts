import { runService } from '@kuik/runtime';
import { createApp } from './app.ts';
import { loadCopierConfig } from './config.ts';

await runService({ name: 'image-copier', load: loadCopierConfig, createApp, shutdownMs: 28_000 });
