import path from 'node:path';
import { FolderTaken } from '../e2e/src/claim-folder.ts';
import { Checklist, seconds } from '../e2e/src/checklist.ts';
import { readRequest, runLocal, type StartRequest } from '../e2e/src/start.ts';
import {
  NODE_PARTS,
  NoNodeHere,
  obtainParts,
  PartMissing,
  PartsProgress,
  REQUIRED_PARTS,
  whyNotHere,
} from '../packages/testbed/src/index.ts';
import { buildServices } from './build-services.ts';

// `npm start`: the real parts, the services' bundles, the whole system, and the story of an upstream that dies.
const CHECKOUT = path.resolve(import.meta.dirname, '..');
/** Where `local.env` and the kubeconfig go; a test's stack leaves those of a person's alone. */
const FOLDER = process.env['KUIK_LOCAL_FOLDER'] ?? path.join(CHECKOUT, '.kuik');
const WRONG_ARGUMENTS = 2;
const ending = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => ending.abort());
const INTERRUPTED = 130;

const list = new Checklist({
  isTTY: process.stdout.isTTY,
  columns: process.stdout.columns ?? 100,
  write: (text) => process.stdout.write(text),
});
/** Undefined when the arguments are wrong, which has been said then. */
function request(): StartRequest | undefined {
  try {
    return readRequest(process.argv.slice(2));
  } catch (error) {
    console.error(`npm start: ${(error as Error).message}`);
    process.exitCode = WRONG_ARGUMENTS;
    return undefined;
  }
}

async function start(asked: StartRequest): Promise<void> {
  const impossible = asked.node ? whyNotHere() : [];
  if (impossible.length > 0) throw new NoNodeHere(impossible.join('\n'));
  const progress = new PartsProgress();
  await obtainParts([...REQUIRED_PARTS, ...(asked.node ? NODE_PARTS : [])], progress);
  progress.end();
  await list.section(
    'build',
    () => buildServices(),
    (_, ms) => `services bundled   ${seconds(ms)}`,
  );
  // turbo calls an interrupted build a success.
  ending.signal.throwIfAborted();
  const held = await runLocal(asked, list, FOLDER, ending.signal);
  process.exitCode = held ? 0 : 1;
}

function wordsOf(error: unknown): string {
  const told =
    [PartMissing, NoNodeHere, FolderTaken].some((kind) => error instanceof kind) || !(error instanceof Error);
  return told ? String((error as Error).message) : (error.stack ?? error.message);
}

try {
  const asked = request();
  if (asked !== undefined) await start(asked);
} catch (error) {
  // Ctrl-C reaches every process of the terminal: what it was at fails of that.
  const said = ending.signal.aborted ? 'npm start: interrupted' : wordsOf(error);
  console.error(said);
  process.exitCode = ending.signal.aborted ? INTERRUPTED : 1;
}
