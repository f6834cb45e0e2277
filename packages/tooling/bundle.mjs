// Bundles the service in the current folder into dist/main.js: one ESM file, started by `node dist/main.js`.
import { build } from 'esbuild';

await build({
  entryPoints: ['src/main.ts'],
  outfile: 'dist/main.js',
  bundle: true,
  platform: 'node',
  format: 'esm',
  target: 'node24',
  sourcemap: true,
  minifySyntax: true,
  logLevel: 'warning',
  // CommonJS dependencies call require() for node's own modules; an ESM bundle has to give them one.
  banner: {
    js: "import { createRequire as kuikCreateRequire } from 'node:module'; const require = kuikCreateRequire(import.meta.url); import { fileURLToPath as kuikFileUrl } from 'node:url'; import { dirname as kuikDirname } from 'node:path'; const __filename = kuikFileUrl(import.meta.url); const __dirname = kuikDirname(__filename);",
  },
});
