import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { declaredService, SERVICES } from '@kuik/contracts';
import { isKubeError, type KubeClient, type KubeObject, orAbsent, SECRETS } from '@kuik/kube';
import { secretOf, type SecretFiles } from './plan-keys.ts';

/** Where Secrets are kept: the API server, or a folder for stacks without a cluster. */
export interface SecretStore {
  read(names: readonly string[]): Promise<SecretFiles>;
  /** Writes one Secret; `created` when it was not there. Somebody who was faster wins: then `lost`, and the plan is made again. */
  write(name: string, files: Record<string, string>): Promise<'created' | 'updated' | 'unchanged' | 'lost'>;
}

interface Secret extends KubeObject {
  data?: Record<string, string>;
}

const LABELS = { 'app.kubernetes.io/name': 'kube-image-keeper', 'app.kubernetes.io/managed-by': 'kuik-keys' };

/** Secrets of services on each node: they are read in the namespace that those live in. */
const ON_NODES: ReadonlySet<string> = new Set(
  SERVICES.filter((service) => declaredService(service).runs === 'on-each-node').map(secretOf),
);

/** Secrets of the API server, each where it is read. Only named Secrets are read or written, none listed. */
export function kubeSecrets(kube: KubeClient, namespace: string, proxyNamespace: string): SecretStore {
  const place = (name: string) => ({ name, namespace: ON_NODES.has(name) ? proxyNamespace : namespace });
  const get = (name: string): Promise<Secret | undefined> => orAbsent(kube.get<Secret>(SECRETS, place(name)));
  return {
    async read(names) {
      const found: SecretFiles = {};
      for (const name of names) {
        const secret = await get(name);
        if (secret !== undefined) found[name] = decode(secret.data ?? {});
      }
      return found;
    },
    async write(name, files) {
      const at = place(name);
      const current = await get(name);
      const data = Object.fromEntries(
        Object.entries(files).map(([file, text]) => [file, Buffer.from(text).toString('base64')]),
      );
      if (current === undefined) {
        try {
          const object = {
            apiVersion: 'v1',
            kind: 'Secret',
            metadata: { ...at, labels: LABELS },
            type: 'Opaque',
            data,
          };
          await kube.create(SECRETS, object, { namespace: at.namespace });
          return 'created';
        } catch (error) {
          if (isKubeError(error) && error.code === 'already-exists') return 'lost';
          throw error;
        }
      }
      if (Object.entries(data).every(([file, text]) => current.data?.[file] === text)) return 'unchanged';
      try {
        await kube.mergePatch(SECRETS, at, { metadata: { resourceVersion: current.metadata.resourceVersion }, data });
        return 'updated';
      } catch (error) {
        if (isKubeError(error) && error.code === 'conflict') return 'lost';
        throw error;
      }
    },
  };
}

/** `<folder>/<secret>/<file>`, readable by the services' group. */
export function folderSecrets(folder: string): SecretStore {
  return {
    read(names) {
      const found: SecretFiles = {};
      for (const name of names) {
        const files = listFolder(path.join(folder, name));
        if (files.length > 0)
          found[name] = Object.fromEntries(
            files.map((file) => [file, readFileSync(path.join(folder, name, file), 'utf8')]),
          );
      }
      return Promise.resolve(found);
    },
    write(name, files) {
      const there = listFolder(path.join(folder, name)).length > 0;
      mkdirSync(path.join(folder, name), { recursive: true });
      for (const [file, text] of Object.entries(files))
        writeFileSync(path.join(folder, name, file), text, { mode: 0o640 });
      return Promise.resolve(there ? 'updated' : 'created');
    },
  };
}

function listFolder(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function decode(data: Record<string, string>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(data).map(([file, text]) => [file, Buffer.from(text, 'base64').toString('utf8')]),
  );
}
