import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { expect, it } from '@jest/globals';
import { build, type Plugin } from 'esbuild';
import { SERVICES } from '../packages/contracts/src/index.ts';

const CHECKOUT = path.resolve(import.meta.dirname, '..');

/** Everything but our own workspaces stays outside. */
const ours: Plugin = {
  name: 'ours',
  setup({ onResolve }) {
    onResolve({ filter: /^[^.]/ }, ({ kind, path: name }) =>
      kind === 'entry-point' || name.startsWith('@kuik/') ? undefined : { external: true },
    );
  },
};

/** Files of which turbo makes a service's bundle anew when they change, below the checkout. */
function watchedFor(service: string): string[] {
  const { stdout } = spawnSync('turbo', ['run', 'build', `--filter=./services/${service}`, '--dry=json'], {
    cwd: CHECKOUT,
    encoding: 'utf8',
    env: { ...process.env, TURBO_TELEMETRY_DISABLED: '1', DO_NOT_TRACK: '1' },
  });
  const [task] = (JSON.parse(stdout) as { tasks: { inputs: object }[] }).tasks;
  return Object.keys(task!.inputs).map((file) => path.join('services', service, file));
}

it('a bundle is made anew when something of it changes, and not for a test or the testbed', async () => {
  const { metafile } = await build({
    absWorkingDir: CHECKOUT,
    entryPoints: SERVICES.map((service) => `services/${service}/src/main.ts`),
    outdir: 'dist',
    bundle: true,
    platform: 'node',
    format: 'esm',
    plugins: [ours],
    write: false,
    metafile: true,
  });
  const bundled = Object.keys(metafile.inputs);
  expect(bundled.length).toBeGreaterThan(300);
  const watched = watchedFor(SERVICES[0]!);
  const shared = bundled.filter((file) => file.startsWith('packages/'));
  expect(shared.filter((file) => !watched.includes(file))).toEqual([]);
  expect(watched.filter((file) => /\.test\.ts$|^packages\/testbed\//.test(file))).toEqual([]);
});
