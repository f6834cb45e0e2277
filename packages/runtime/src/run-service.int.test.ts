import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';

const fixture = fileURLToPath(new URL('./fixtures/service.ts', import.meta.url));

interface Ended {
  code: number | null;
  messages: string[];
  stderr: string;
}

/** Runs the fixture to its end; `on` gives the signals to send when a message is logged. */
async function run(env: Record<string, string>, on: Record<string, NodeJS.Signals[]> = {}): Promise<Ended> {
  const child = spawn(process.execPath, [fixture], {
    env: { PATH: process.env['PATH'], NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const messages: string[] = [];
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  createInterface(child.stdout).on('line', (line) => {
    const { message } = JSON.parse(line) as { message: string };
    messages.push(message);
    for (const signal of on[message] ?? []) child.kill(signal);
  });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, messages, stderr };
}

describe('runService', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)('runs until %s and closes in order', async (signal) => {
    expect(await run({}, { 'service started': [signal] })).toEqual({
      code: 0,
      messages: ['service started', 'signal received', 'service closing', 'work closed', 'service closed'],
      stderr: '',
    });
  });

  it('prints every configuration mistake and ends with 2', async () => {
    const { code, messages, stderr } = await run({ KUIK_TROUBLE: 'lots', KUIK_CLOSING: 'soon' });
    expect(code).toBe(2);
    expect(messages).toEqual([]);
    expect(stderr).toMatch(
      /^config error {2}2 mistakes in the environment\n.*closing .*must be a number.*\n.*trouble .*must be none or start/,
    );
  });

  it('prints the mistakes of a file that the configuration names, too, and ends with 2', async () => {
    const { code, stderr } = await run({ KUIK_TROUBLE: 'rules' });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^config error {2}1 mistake in \/etc\/rules.yaml\n.*mode .*must be on or off/);
  });

  it('ends with 1 when a part cannot start', async () => {
    const { code, messages } = await run({ KUIK_TROUBLE: 'start' });
    expect(code).toBe(1);
    expect(messages).toEqual(['work closed', 'service cannot start', 'service closing', 'service closed']);
  });

  it.each([
    ['uncaught', 'uncaught error'],
    ['rejection', 'unhandled rejection'],
  ])('closes in order and ends with 1 after an %s error', async (trouble, message) => {
    const { code, messages } = await run({ KUIK_TROUBLE: trouble });
    expect(code).toBe(1);
    expect(messages).toContain(message);
    expect(messages.slice(-3)).toEqual(['service closing', 'work closed', 'service closed']);
  });

  it('gives up on a part that never closes', async () => {
    const { code, messages } = await run({ KUIK_TROUBLE: 'stuck' }, { 'service started': ['SIGTERM'] });
    expect(code).toBe(1);
    expect(messages).toContain('service did not close in time');
  });

  it('ends although something was left open, and names it', async () => {
    const { code, messages } = await run({ KUIK_TROUBLE: 'handle' }, { 'service started': ['SIGTERM'] });
    expect(code).toBe(0);
    expect(messages.at(-1)).toBe('handles are still open');
  });

  it('ends at once on a second signal', async () => {
    const { code, messages } = await run(
      { KUIK_CLOSING: '900' },
      { 'service started': ['SIGTERM'], 'service closing': ['SIGTERM'] },
    );
    expect(code).toBe(130);
    expect(messages).not.toContain('work closed');
  });
});
