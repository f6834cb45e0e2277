import { readFileSync } from 'node:fs';
import type { PartProcess } from '@kuik/testbed';
import type { Checklist } from '../checklist.ts';
import type { AnyStep } from './step.ts';

/** A world whose processes keep logs. */
export interface Logged {
  processes(): PartProcess[];
}

export interface TellOptions {
  /** `<step>:<breakage>`. */
  readonly broken?: string | undefined;
  readonly signal?: AbortSignal;
}

const LOG_LINES = 6;

/** Tells the steps in order and stops at the first that did not hold, with the last lines of the logs that matter. Returns whether all held. */
export async function tellStory<W>(
  steps: readonly AnyStep<W>[],
  world: W & Logged,
  list: Checklist,
  options: TellOptions = {},
): Promise<boolean> {
  const [brokenStep, breakage] = options.broken?.split(':') ?? [];
  if (
    brokenStep !== undefined &&
    !steps.some((step) => step.id === brokenStep && step.breakages.includes(breakage ?? ''))
  ) {
    throw new Error(
      `no such breakage: ${options.broken}; there are ${steps.flatMap((step) => step.breakages.map((name) => `"${step.id}:${name}"`)).join(', ')}`,
    );
  }
  const interrupted = (): boolean => options.signal?.aborted === true;
  list.line();
  list.line('The story');
  for (const [index, step] of steps.entries()) {
    if (interrupted()) return false;
    const held = await list.step(
      index + 1,
      (waitingFor) => step.run(world, waitingFor, step.id === brokenStep ? breakage : undefined),
      step.title,
      options.signal,
    );
    if (held) continue;
    if (interrupted()) return false;
    for (const line of lastLogLines(world, step.logs)) list.line(`          ${line}`);
    list.line(`Step ${index + 1} of ${steps.length} did not hold.`);
    return false;
  }
  list.line(`All ${steps.length} steps held.`);
  return true;
}

function lastLogLines(world: Logged, names: readonly string[]): string[] {
  const logged = world
    .processes()
    .filter((process) => names.some((name) => process.name === name || process.name.startsWith(`${name}-`)));
  return logged.flatMap((process) => {
    const text = readFileSync(process.logFile, 'utf8').trimEnd().split('\n').slice(-LOG_LINES);
    return [`${process.name} (${process.logFile}):`, ...text.map((line) => `  ${line.slice(0, 300)}`)];
  });
}
