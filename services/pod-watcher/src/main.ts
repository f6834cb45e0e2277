import { runService } from '@kuik/runtime';
import { createApp } from './app.ts';
import { loadPodWatcherConfig } from './config.ts';

await runService({ name: 'pod-watcher', load: loadPodWatcherConfig, createApp });
