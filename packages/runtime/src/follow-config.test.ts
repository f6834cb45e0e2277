import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { z } from 'zod';
import { loadConfig } from './config.ts';
import { followConfig } from './follow-config.ts';
import { createLogger } from './logger.ts';
import { createMetrics } from './metrics.ts';

const schema = z.strictObject({
  registries: z.record(z.string(), z.strictObject({ ca: z.string().optional() })).default({}),
  pace: z.number().default(1),
  other: z.number().default(1),
});
const specs = {
  reloads: { type: 'counter', name: 'reloads_total', help: 'x', labels: ['result'] },
  loopFailures: { type: 'counter', name: 'failures_total', help: 'x', labels: ['loop', 'code'] },
  loopSeconds: { type: 'histogram', name: 'seconds', help: 'x', labels: ['loop'] },
} as const;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kuik-config-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

it('takes a change over whole, refuses one with mistakes, and names what waits for a restart', async () => {
  const file = path.join(folder, 'config.yaml');
  const lines: string[] = [];
  const load = () => loadConfig({ name: 'x', schema, env: { KUIK_CONFIG: file, KUIK_PACE: '7' } });
  writeFileSync(file, 'registries: {}');
  const metrics = createMetrics({ service: 'x', defaults: false });
  const log = createLogger({ service: 'x', write: (line) => void lines.push(line) });
  const config = load();
  const followed = followConfig({
    context: { log, metrics, source: { file, load } },
    config,
    applied: ['registries'],
    specs,
  });
  const told: unknown[] = [];
  const next = () => new Promise<void>((resolve) => followed.onChange((changed) => (told.push(changed), resolve())));
  await followed.start?.(new AbortController().signal);
  try {
    const first = next();
    writeFileSync(file, 'registries: { quay.io: { ca: PEM } }');
    await first;
    // The environment stays on top.
    expect(told).toEqual([{ registries: { 'quay.io': { ca: 'PEM' } }, pace: 7, other: 1 }]);

    const refused = new Promise<void>((resolve) => {
      // The log is all that a refusal leaves.
      const timer = setInterval(() => {
        if (!lines.some((line) => line.includes('refused'))) return;
        clearInterval(timer);
        resolve();
      }, 5);
    });
    writeFileSync(file, 'registries: { quay.io: { ca: 1, carfile: x } }\npaec: 2');
    await refused;
    const line = lines.find((text) => text.includes('refused'))!;
    for (const mistake of ['registries[\\"quay.io\\"].ca', 'carfile', 'paec']) expect(line).toContain(mistake);
    expect(followed.current).toMatchObject({ registries: { 'quay.io': { ca: 'PEM' } } });
    expect(lines.join('')).not.toContain('with a restart');

    const second = next();
    writeFileSync(file, 'registries: {}\nother: 2');
    await second;
    expect(lines.at(-1)).toMatch(/with a restart.*"settings":\["other"\]/);
  } finally {
    await followed.close?.();
  }
});

it('takes a file that it names for a part of it, and survives a listener that cannot use it', async () => {
  const [file, ca] = [path.join(folder, 'config.yaml'), path.join(folder, 'ca.pem')];
  writeFileSync(file, `registries: { quay.io: { ca: ${JSON.stringify(ca)} } }`);
  writeFileSync(ca, 'first');
  const load = () => loadConfig({ name: 'x', schema, env: { KUIK_CONFIG: file } });
  const lines: string[] = [];
  const followed = followConfig({
    context: {
      log: createLogger({ service: 'x', write: (line) => void lines.push(line) }),
      metrics: createMetrics({ service: 'x', defaults: false }),
      source: { file, load },
    },
    config: load(),
    applied: ['registries'],
    files: ({ registries }) => Object.values(registries).flatMap((registry) => registry.ca ?? []),
    specs,
  });
  const told: string[] = [];
  let heard = Promise.withResolvers<void>();
  followed.onChange(() => {
    const text = readFileSync(ca, 'utf8');
    told.push(text);
    heard.resolve();
    if (text === 'broken') throw new Error('no certificate');
  });
  await followed.start?.(new AbortController().signal);
  try {
    for (const text of ['broken', 'second']) {
      heard = Promise.withResolvers<void>();
      writeFileSync(`${ca}.new`, text);
      renameSync(`${ca}.new`, ca);
      await heard.promise;
    }
    expect(told).toEqual(['broken', 'second']);
    expect(lines.filter((line) => line.includes('cannot be taken over'))).toHaveLength(1);
  } finally {
    await followed.close?.();
  }
});
