import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** A folder that goes with its scope. */
export interface TemporaryFolder extends AsyncDisposable {
  /** Writes a file and returns its path. */
  write(name: string, text: string): Promise<string>;
}

export async function temporaryFolder(): Promise<TemporaryFolder> {
  const folder = await mkdtemp(join(tmpdir(), 'kuik-kube-'));
  return {
    async write(name, text) {
      const file = join(folder, name);
      await writeFile(file, text, { mode: 0o600 });
      return file;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
