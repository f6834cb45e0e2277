import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { LEASE_SOCKET } from '../lease/lease-control-plane.ts';
import { findPart } from '../parts/find.ts';
import { overrideVariable, REQUIRED_PARTS } from '../parts/catalogue.ts';
import { dataFolder, openLog, runFolder } from '../process/folders.ts';

/** One for each of jest's workers: a test file that waits for a control plane keeps a core idle. */
const PLANES = '3';

let broker: ChildProcess | undefined;
let socketFolder: string | undefined;

/** Before the first test file: one run folder for all workers, the parts' places found once, the lease broker started. */
export async function setUp(): Promise<void> {
  process.env['KUIK_RUN_FOLDER'] = runFolder();
  for (const name of REQUIRED_PARTS) {
    const part = await findPart(name);
    if (part) process.env[overrideVariable(name)] = part.path;
  }
  socketFolder = dataFolder('lease');
  // A socket's path is limited to about 100 bytes, which a checkout's may exceed.
  if (socketFolder.length > 90) socketFolder = mkdtempSync(path.join(tmpdir(), 'kuik-'));
  const socketPath = path.join(socketFolder, 'lease');
  const log = openLog('lease-broker');
  broker = spawn(process.execPath, [path.join(import.meta.dirname, '../lease/broker-main.ts'), socketPath, PLANES], {
    stdio: ['pipe', 'pipe', log.fd],
    detached: true,
  });
  closeSync(log.fd);
  const { stdout } = broker;
  if (!stdout) throw new Error('the lease broker has no output');
  await Promise.race([
    once(stdout, 'data'),
    once(broker, 'exit').then(() => {
      throw new Error(`the lease broker did not start; see ${log.file}`);
    }),
  ]);
  broker.unref();
  process.env[LEASE_SOCKET] = socketPath;
}

/** After the last test file. */
export async function tearDown(): Promise<void> {
  if (broker && broker.exitCode === null) {
    // It must hold jest until it is gone: with nothing else to do, node would end before the results are written.
    broker.ref();
    broker.stdin?.end();
    await once(broker, 'exit');
  }
  if (socketFolder) rmSync(socketFolder, { recursive: true, force: true });
}
