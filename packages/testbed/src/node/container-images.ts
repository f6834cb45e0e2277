import { execFile } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import type { MadeImage } from '../images/image.ts';
import { makeImage } from '../images/make-image.ts';
import { ociArchive } from '../images/oci-archive.ts';
import { until } from '../process/until.ts';

const run = promisify(execFile);

/** Holds a pod's namespaces; no registry has it. */
export const SANDBOX_IMAGE = 'testbed.invalid/sandbox:1';
/** What keeps containerd from thinking it unused. */
const PINNED = 'io.cri-containerd.pinned=pinned';
/** containerd's namespace for what pods use. */
const PODS = 'k8s.io';

/** The images of a containerd, through its own tool. */
export class ContainerImages {
  readonly #command: string;
  readonly #socket: string;

  constructor(command: string, socket: string) {
    this.#command = command;
    this.#socket = socket;
  }

  /** Runs the tool; throws with its last line. */
  async ctr(...args: readonly string[]): Promise<string> {
    // A machine with cgroup v1 would be told so at every call.
    const env = { ...process.env, CONTAINERD_SUPPRESS_DEPRECATION_WARNINGS: '1' };
    try {
      const { stdout } = await run(this.#command, ['--address', this.#socket, '--namespace', PODS, ...args], {
        env,
        timeout: 60_000,
        maxBuffer: 16 << 20,
      });
      return stdout;
    } catch (error) {
      const said = (error as { stderr?: string }).stderr?.trim().split('\n').at(-1);
      throw new Error(`ctr ${args.join(' ')}: ${said || String(error)}`, { cause: error });
    }
  }

  /** Puts the image for pods' sandboxes into an empty containerd. */
  async importSandbox(folder: string): Promise<void> {
    const architecture = process.arch === 'arm64' ? 'arm64' : 'amd64';
    const image = await makeImage({ seed: 'sandbox', layers: [], platform: `linux/${architecture}`, runnable: true });
    await this.import(folder, image, SANDBOX_IMAGE);
    await this.ctr('images', 'label', SANDBOX_IMAGE, PINNED);
  }

  /** Puts an image onto the node under this name, as if a pod had brought it. `folder`: where there is room for it once more. */
  async import(folder: string, image: MadeImage, name: string): Promise<void> {
    const file = path.join(folder, `import-${image.digest.slice(-12)}.tar`);
    writeFileSync(file, ociArchive(image, name));
    await this.ctr('images', 'import', file);
    rmSync(file);
  }

  async list(): Promise<string[]> {
    const names = (await this.ctr('images', 'list', '-q')).split('\n').filter(Boolean);
    const sandbox = await this.#targetOf(SANDBOX_IMAGE);
    // The sandbox's image goes by its config's digest, too.
    return names.filter((name) => name !== SANDBOX_IMAGE && !sandbox.includes(name));
  }

  async removeAll(): Promise<void> {
    await until(
      async () => {
        const left = await this.list();
        if (left.length > 0) await this.ctr('images', 'remove', '--sync', ...left);
        return left.length === 0;
      },
      { what: 'the node to have no image', timeoutMs: 20_000 },
    );
  }

  async #targetOf(name: string): Promise<string> {
    return this.ctr('images', 'inspect', name);
  }
}
