import path from 'node:path';
import { expect, it } from '@jest/globals';
import { build } from 'esbuild';

const CHECKOUT = path.resolve(import.meta.dirname, '..');
/** Megabytes of code each, of use in one cloud alone. */
const LAZY = ['@aws-sdk/client-ecr', '@aws-sdk/client-ecr-public', '@azure/identity', 'google-auth-library'];

it("the clouds' own libraries are loaded when they are needed, never with the service", async () => {
  const { metafile } = await build({
    absWorkingDir: CHECKOUT,
    entryPoints: ['services/pod-watcher/src/main.ts'],
    outdir: 'services/pod-watcher/dist',
    bundle: true,
    platform: 'node',
    format: 'esm',
    packages: 'external',
    write: false,
    metafile: true,
  });
  const imports = Object.values(metafile.inputs).flatMap((file) => file.imports);
  const ofClouds = imports.filter(({ path: name }) => /^(@aws|@azure|@google|google)/.test(name));
  expect(ofClouds.map(({ path: name, kind }) => `${kind} ${name}`).toSorted()).toEqual(
    LAZY.map((name) => `dynamic-import ${name}`),
  );
});
