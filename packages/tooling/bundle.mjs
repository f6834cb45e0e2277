// Bundles the service in the current folder into dist/: ESM, started by `node dist/main.js`. What is imported lazily stays apart.
import { rmSync } from 'node:fs';
import { build } from 'esbuild';

rmSync('dist', { recursive: true, force: true });
await build({
  entryPoints: ['src/main.ts'],
  outdir: 'dist',
  splitting: true,
  chunkNames: 'lazy/[name]-[hash]',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  sourcemap: true,
  // For a person who wants them: NODE_OPTIONS=--enable-source-maps. Sources themselves would only make them larger.
  sourcesContent: false,
  minifySyntax: true,
  // A process keeps its source in memory, and two bytes per character once one of them, in any comment, is beyond Latin-1: 8 MiB of pod-watcher.
  minifyWhitespace: true,
  logLevel: 'warning',
  // CommonJS dependencies call require() for node's own modules; an ESM bundle has to give them one.
  banner: {
    js: "import { createRequire as kuikCreateRequire } from 'node:module'; const require = kuikCreateRequire(import.meta.url); import { fileURLToPath as kuikFileUrl } from 'node:url'; import { dirname as kuikDirname } from 'node:path'; const __filename = kuikFileUrl(import.meta.url); const __dirname = kuikDirname(__filename);",
  },
});
