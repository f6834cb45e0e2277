import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { kubeconfig } from '../control-plane/kubeconfig.ts';
import type { OwnControlPlane } from '../port.ts';
import { nodeFolder } from './traces.ts';

/** The node's folder and what is written into it. */
export class NodeFiles {
  readonly folder = nodeFolder();
  readonly #plane: OwnControlPlane;

  constructor(plane: OwnControlPlane) {
    this.#plane = plane;
    mkdirSync(this.folder, { recursive: true, mode: 0o700 });
  }

  /** Where containerd listens. */
  get socket(): string {
    return this.path('containerd.sock');
  }

  path(name: string): string {
    return path.join(this.folder, name);
  }

  /** Writes a file (its folder is made) and returns its path. */
  write(name: string, text: string): string {
    const file = this.path(name);
    mkdirSync(path.dirname(file), { recursive: true });
    writeFileSync(file, text, { mode: 0o600 });
    return file;
  }

  /** Writes a kubeconfig for a component: user name and groups are those of a cluster. Returns its path. */
  kubeconfig(name: string, commonName: string, organizations: readonly string[] = []): string {
    const { certificate, privateKey } = this.#plane.issue({ commonName, organizations, usages: ['client'] });
    const user = { certificatePem: certificate, privateKeyPem: privateKey };
    return this.write(`${name}.kubeconfig`, kubeconfig(this.#plane.url, this.#plane.caPem, user));
  }
}
