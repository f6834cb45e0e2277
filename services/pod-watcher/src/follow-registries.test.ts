import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { createWorld, eventually } from './testing/world.ts';

let folder: string;
let world: ReturnType<typeof createWorld>;
let file: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kuik-registries-'));
  file = path.join(folder, 'config.yaml');
  world = createWorld({ KUIK_CONFIG: file });
});
afterEach(async () => {
  await world.close();
  rmSync(folder, { recursive: true });
});

it('reaches registries as its configuration file says now, without a restart', async () => {
  const ca = path.join(folder, 'ca.pem');
  writeFileSync(ca, 'PEM');
  writeFileSync(file, 'registries: {}');
  await world.replica().start();
  expect(world.registries).toEqual([]);
  writeFileSync(file, `registries: { quay.io: { caFile: ${JSON.stringify(ca)} } }`);
  await eventually('the changed registries', () => world.registries.length > 0);
  expect(world.registries).toEqual([{ 'quay.io': { ca: 'PEM' } }]);
});
