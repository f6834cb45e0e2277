import type { KeeperNews } from './keeper.ts';
import { takeMachine } from './machine-lock.ts';
import { prepareMachine, removeTraces } from './machine.ts';

// Started by keeper.ts, in a session of its own: argument 1 is how long to wait for the machine, standard input ends with the owner.
const [waitMs = '0'] = process.argv.slice(2);
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined);
// An owner that is gone does not read what is said.
process.stdout.on('error', () => undefined);

function say(news: KeeperNews): Promise<void> {
  return new Promise((resolve) => process.stdout.write(`${JSON.stringify(news)}\n`, () => resolve()));
}

async function keep(): Promise<KeeperNews> {
  // Asked from the first moment on: an owner that dies while this waits has to be noticed.
  const ownerGone = (async () => {
    for await (const _chunk of process.stdin) {
      // Nothing is ever sent: only its end counts.
    }
  })();
  const mine = await takeMachine({
    waitMs: Number(waitMs),
    giveUp: ownerGone,
    onWait: (pid) => void say({ waitingFor: pid }),
  });
  if (mine === 'given up') return { held: true };
  // What an earlier keeper left that was killed itself.
  await removeTraces();
  const before = await prepareMachine();
  await say({ held: true });
  await ownerGone;
  await removeTraces(before);
  return { held: true };
}

const outcome = await keep().catch((error: unknown): KeeperNews => ({ failed: (error as Error).message }));
await say(outcome);
process.exit(0);
