import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { dataFolder } from './folders.ts';
import { freePort } from './free-port.ts';
import { accepts } from './health-check.ts';
import { PartExited, startPart, withFreshPorts, type Launch, type Part } from './part-process.ts';
import { until } from './until.ts';

let folder: string;
let parts: Part[];
let cleanUp: (() => unknown)[];
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'part-'));
  parts = [];
  cleanUp = [];
});
afterEach(async () => {
  for (const clean of cleanUp) clean();
  await Promise.all(parts.map((part) => part.stop()));
  rmSync(folder, { recursive: true, force: true });
});

// Writes its port into a file once it listens; survives SIGTERM when told so.
const SERVER = `
const { createServer } = require('node:net');
if (process.env.STUBBORN) process.on('SIGTERM', () => {});
createServer().listen(Number(process.argv[1]), '127.0.0.1', () => console.log('listening', process.argv[1]));
`;

async function launch(more: Partial<Launch> = {}): Promise<Launch> {
  const port = more.port ?? (await freePort());
  return {
    name: 'server',
    command: process.execPath,
    args: ['-e', SERVER, String(port)],
    port,
    check: () => accepts(port),
    ...more,
  };
}

async function start(more: Partial<Launch> = {}): Promise<Part> {
  const part = await startPart(await launch(more));
  parts.push(part);
  return part;
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    // A zombie has ended; its parent has only not asked yet.
    return !/^State:\s+Z/m.test(existsSync('/proc/self') ? readFileSync(`/proc/${pid}/status`, 'utf8') : '');
  } catch {
    return false;
  }
}

describe('a part', () => {
  it('is ready when it answers, and keeps what it prints', async () => {
    const part = await start();
    await accepts(part.port);
    expect(part.running()).toBe(true);
    await until(() => readFileSync(part.logFile, 'utf8').includes(`listening ${part.port}`), { what: 'its log' });
  });

  it('comes back on the same port with another pid, and appends to its log', async () => {
    const part = await start();
    const first = part.pid;
    // The port is open before the line about it is in the file.
    const lines = (): number => readFileSync(part.logFile, 'utf8').match(/listening/g)?.length ?? 0;
    await until(() => lines() === 1, { what: 'a line in its log' });
    await part.kill();
    expect([part.running(), part.pid]).toEqual([false, 0]);
    await part.restart();
    expect(part.pid).not.toBe(first);
    await accepts(part.port);
    await until(() => lines() === 2, { what: 'a second line in the same log' });
  });

  it('can be frozen and thawed', async () => {
    const part = await start();
    await part.kill('SIGSTOP');
    expect(part.running()).toBe(true);
    await part.kill('SIGCONT');
    await part.ready();
  });

  it('is stopped for good, with its data, even when it ignores SIGTERM or is frozen', async () => {
    const data = dataFolder('server');
    const part = await start({ folders: [data], env: { STUBBORN: '1' }, stopTimeoutMs: 50 });
    const { pid } = part;
    await part.kill('SIGSTOP');
    await part.stop();
    await part.stop();
    expect(isAlive(pid)).toBe(false);
    expect(existsSync(data)).toBe(false);
    expect(() => part.start()).toThrow('stopped for good');
  });

  it('that ends before it is ready fails at once, with its last words', async () => {
    const failing = startPart(await launch({ args: ['-e', 'console.error("no such luck"); process.exit(3)'] }));
    await expect(failing).rejects.toThrow(/server ended \(exit code 3\)[^]*no such luck/);
  });

  it('that never answers fails at its deadline, with what was wrong', async () => {
    const silent = startPart(await launch({ args: ['-e', 'setInterval(() => {}, 1000)'], readyTimeoutMs: 100 }));
    await expect(silent).rejects.toThrow(/waited 0.1 s for server on port \d+ to be ready: .*ECONNREFUSED/);
  });

  it('whose program is missing says so', async () => {
    const missing = startPart(await launch({ command: path.join(folder, 'nothing') }));
    await expect(missing).rejects.toThrow(/server cannot be started: .*nothing is missing or not executable/);
  });

  it('sees of the environment only what it needs', async () => {
    const script = 'console.log("seen", Object.keys(process.env).sort().join()); ' + SERVER;
    const port = await freePort();
    const part = await start({ port, args: ['-e', script, String(port)], env: { MINE: '1' } });
    const seen = /seen (.*)/.exec(readFileSync(part.logFile, 'utf8'))?.[1]?.split(',') ?? [];
    expect(
      seen.filter(
        (name) => !['PATH', 'HOME', 'TMPDIR', 'KUIK_REAPER', 'MINE', '__CF_USER_TEXT_ENCODING'].includes(name),
      ),
    ).toEqual([]);
    expect(seen).toContain('MINE');
  });
});

describe('withFreshPorts', () => {
  it('tries again when a port was taken meanwhile, and only then', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    cleanUp.push(() => taken.close());
    await once(taken, 'listening');
    const { port: first } = taken.address() as { port: number };
    const ports = [first, await freePort()];
    const part = await withFreshPorts(async () => {
      const port = ports.shift()!;
      // The check would be answered by whoever has the port.
      return startPart(await launch({ port, check: () => accepts(ports.length === 0 ? port : 1) }));
    });
    parts.push(part);
    expect(part.port).not.toBe(first);
    let tries = 0;
    const failing = withFreshPorts(() => {
      tries++;
      return Promise.reject(new PartExited('it ended: bad configuration'));
    });
    await expect(failing).rejects.toThrow('bad configuration');
    expect(tries).toBe(1);
  });
});

describe('the reaper', () => {
  it('ends every process and removes their data when their parent is killed with SIGKILL', async () => {
    const here = import.meta.dirname;
    const script = path.join(folder, 'parent.ts');
    writeFileSync(
      script,
      `
import { spawn } from 'node:child_process';
import { dataFolder } from '${here}/folders.ts';
import { startPart } from '${here}/part-process.ts';
const data = dataFolder('server');
const nested = 'const c = require("node:child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { detached: true }); console.log(c.pid); setInterval(() => {}, 1000)';
const one = await startPart({ name: 'one', command: process.execPath, args: ['-e', 'setInterval(() => {}, 1000)'], port: 0, folders: [data], check: async () => true });
const two = await startPart({ name: 'two', command: process.execPath, args: ['-e', nested], port: 0, check: async () => true });
console.log(JSON.stringify({ pids: [one.pid, two.pid], data, log: two.logFile }));
setInterval(() => {}, 1000);
`,
    );
    const parent = spawn(process.execPath, [script], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, KUIK_RUN_FOLDER: folder },
    });
    cleanUp.push(() => parent.kill('SIGKILL'));
    const [line] = (await once(createInterface({ input: parent.stdout }), 'line')) as [string];
    const { pids, data, log } = JSON.parse(line) as { pids: number[]; data: string; log: string };
    const nested = await until(() => Number(readFileSync(log, 'utf8')) || undefined, { what: 'the child of a child' });
    expect([...pids, nested].map(isAlive)).toEqual([true, true, true]);
    expect(existsSync(data)).toBe(true);

    parent.kill('SIGKILL');
    await until(() => !pids.some(isAlive), { what: 'the processes to be gone', timeoutMs: 5_000 });
    await until(() => !existsSync(data), { what: 'their data to be gone', timeoutMs: 5_000 });
    // Only Linux shows whose environment a process that left its group carries.
    if (existsSync('/proc/self')) {
      await until(() => !isAlive(nested), { what: 'the child of a child to be gone', timeoutMs: 5_000 });
    } else process.kill(nested, 'SIGKILL');
  });
});
