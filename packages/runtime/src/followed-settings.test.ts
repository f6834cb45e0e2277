import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { ConfigError } from './config-error.ts';
import { followSettings, type FollowedSettings } from './followed-settings.ts';
import { createLogger } from './logger.ts';
import { createMetrics } from './metrics.ts';

const schema = z.strictObject({
  mode: z.enum(['on', 'off']).default('on'),
  names: z.array(z.string().min(1)).default([]),
});
type Settings = z.output<typeof schema>;
const specs = {
  reloads: { type: 'counter', name: 'reloads_total', help: 'x', labels: ['result'] },
  loopFailures: { type: 'counter', name: 'failures_total', help: 'x', labels: ['loop', 'code'] },
  loopSeconds: { type: 'histogram', name: 'seconds', help: 'x', labels: ['loop'] },
};

let folder: string;
let lines: string[];
let told: Settings[];
let metrics: ReturnType<typeof createMetrics>;
let followed: FollowedSettings<Settings> | undefined;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kuik-follow-'));
  [lines, told, metrics, followed] = [[], [], createMetrics({ service: 'x', defaults: false }), undefined];
});
afterEach(async () => {
  await followed?.close?.();
  rmSync(folder, { recursive: true });
});

/** As kubelet does it: `rules.yaml` is a link into `..data`, which is a link that is swapped. */
function mount(version: string, text: string): string {
  mkdirSync(path.join(folder, version));
  writeFileSync(path.join(folder, version, 'rules.yaml'), text);
  symlinkSync(version, path.join(folder, '..data_tmp'));
  renameSync(path.join(folder, '..data_tmp'), path.join(folder, '..data'));
  const file = path.join(folder, 'rules.yaml');
  rmSync(file, { force: true });
  symlinkSync(path.join('..data', 'rules.yaml'), file);
  return file;
}

async function follow(file: string | undefined, everyMs?: number): Promise<FollowedSettings<Settings>> {
  const log = createLogger({ service: 'x', write: (line) => void lines.push(line) });
  const follows = followSettings({
    name: 'rules',
    file,
    schema,
    log,
    metrics,
    specs,
    ...(everyMs === undefined ? {} : { everyMs }),
  });
  followed = follows;
  follows.onChange((settings) => told.push(settings));
  await follows.start?.(new AbortController().signal);
  return follows;
}

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 5_000;
  while (!(await check())) {
    if (Date.now() > deadline) throw new Error('never');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('followed settings', () => {
  it('are the defaults without a file', async () => {
    expect((await follow(undefined)).current).toEqual({ mode: 'on', names: [] });
  });

  it('change when the folder says so, long before anybody would look', async () => {
    const settings = await follow(mount('1', ''), 3_600_000);
    expect(settings.current.mode).toBe('on');
    mount('2', 'mode: off');
    await until(() => told.length === 1);
    expect(settings.current).toEqual({ mode: 'off', names: [] });
    expect(await metrics.render()).toContain('reloads_total{result="applied"} 1');
  });

  it('change when the file is looked at, when nobody says so', async () => {
    // The folder of this file is not the one in which it changes.
    mount('1', 'mode: on');
    const elsewhere = path.join(folder, 'elsewhere');
    mkdirSync(elsewhere);
    const link = path.join(elsewhere, 'rules.yaml');
    symlinkSync(path.join(folder, '1', 'rules.yaml'), link);
    await follow(link, 10);
    writeFileSync(path.join(folder, '1', 'rules.yaml'), 'mode: off');
    await until(() => told.length === 1);
  });

  it('stay when the new ones have mistakes, all of which are told in one line, once', async () => {
    const settings = await follow(mount('1', 'mode: off'), 5);
    mount('2', 'mdoe: on\nnames: ["", a]');
    await until(() => lines.length > 0);
    expect(settings.current.mode).toBe('off');
    mount('3', 'names: [b]');
    await until(() => told.length === 1);
    expect(told).toEqual([{ mode: 'on', names: ['b'] }]);
    const refusals = lines.filter((line) => line.includes('rules refused, those in force stay'));
    expect(refusals).toHaveLength(1);
    expect(refusals[0]).toContain('did you mean \\"mode\\"?');
    expect(refusals[0]).toContain('names[0]: ');
    expect(await metrics.render()).toContain('reloads_total{result="refused"} 1');
  });

  it('stay while the file cannot be read', async () => {
    const file = mount('1', 'mode: off');
    const settings = await follow(file, 5);
    rmSync(file);
    await until(async () => /failures_total\{loop="follow-rules",code="ENOENT"\} [1-9]/.test(await metrics.render()));
    expect(settings.current.mode).toBe('off');
    expect(told).toEqual([]);
  });

  it.each([
    ['mode: maybe\nnmaes: []', ['mode', 'nmaes']],
    ['mode: [', ['(YAML)']],
    ['- a', ['(whole file)']],
  ])('are none at the start with mistakes: %j', async (text, paths) => {
    const file = mount('1', text);
    const error = await follow(file).catch((error: unknown) => error);
    expect(error).toBeInstanceOf(ConfigError);
    expect((error as ConfigError).where).toBe(file);
    expect((error as ConfigError).mistakes.map((mistake) => mistake.path).sort()).toEqual(paths.sort());
  });

  it('are none at the start without the file', async () => {
    await expect(follow(path.join(folder, 'none.yaml'))).rejects.toThrow('cannot read it: ENOENT');
  });
});
