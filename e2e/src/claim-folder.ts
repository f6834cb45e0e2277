import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { holderOf, isAlive } from '@kuik/testbed';

const PID = 'local.pid';

/** Another stack writes there. */
export class FolderTaken extends Error {
  override readonly name = 'FolderTaken';
}

/**
 * Takes the folder into which a running stack writes how to talk to it, so that a second one does not write over that. Returns how to give it back.
 * Throws FolderTaken with the process that has it; what a process left that is gone counts for nothing.
 */
export function claimFolder(folder: string): () => void {
  mkdirSync(folder, { recursive: true });
  const file = path.join(folder, PID);
  const holder = holderOf(file);
  if (holder !== undefined && holder !== process.pid && isAlive(holder)) {
    throw new FolderTaken(
      `process ${holder} is running a stack in this checkout already (${file}): end it first, or name another folder in KUIK_LOCAL_FOLDER`,
    );
  }
  writeFileSync(file, `${process.pid}\n`);
  return () => rmSync(file, { force: true });
}
