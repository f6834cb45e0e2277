import { readFile } from 'node:fs/promises';
import { KubeError } from '../kube-error.ts';
import type { Access } from './access.ts';
import { Remembered } from './remembered.ts';

type Environment = Readonly<Record<string, string | undefined>>;

const FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount';

/** Access of a pod with its own service account. The kubelet rotates the token file about every 48 minutes; it is read again. `env`: what kubelet tells the pod. */
export function inClusterAccess(
  options: { server?: string; tokenFile?: string; caFile?: string },
  tokenMaxAgeMs: number,
  env: Environment = process.env,
): Access {
  const { server = serverOf(env), tokenFile = `${FOLDER}/token`, caFile = `${FOLDER}/ca.crt` } = options;
  const token = new Remembered(() => readToken(tokenFile), tokenMaxAgeMs);
  return {
    server,
    tls: async () => ({ ca: await readCredential(caFile, 'the cluster CA') }),
    headers: async () => ({ authorization: `Bearer ${await token.get()}` }),
    forget: () => token.forget(),
  };
}

/**
 * Where kubelet says that the API server is (https://kubernetes.io/docs/tasks/run-application/access-api-from-pod/): an address, so that a cluster whose DNS is
 * away does not stop us. Its name when the pod was given none.
 */
function serverOf(env: Environment): string {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = env;
  if (host === undefined || host === '' || port === undefined || port === '') return 'https://kubernetes.default.svc';
  return `https://${host.includes(':') ? `[${host}]` : host}${port === '443' ? '' : `:${port}`}`;
}

/** The token in a file, trimmed. Throws KubeError 'unauthorized' naming the file. */
export async function readToken(file: string): Promise<string> {
  const token = (await readCredential(file, 'the token')).toString('utf8').trim();
  if (token === '') throw new KubeError('unauthorized', `cannot read the token: ${file} is empty`);
  return token;
}

/** A file's bytes. Throws KubeError 'unauthorized' naming what and where. */
export async function readCredential(file: string, what: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unreadable';
    throw new KubeError(
      'unauthorized',
      `cannot read ${what}: ${file}: ${code}; in a pod it is mounted unless automountServiceAccountToken is false, elsewhere name a kubeconfig`,
      { cause: error },
    );
  }
}
