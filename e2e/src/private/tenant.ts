import { pullSecretName } from '@kuik/contracts';
import { until, type ControlPlane, type KubeObject } from '@kuik/testbed';
import { pod, type Pod } from '../story/pods.ts';

interface Secret extends KubeObject {
  readonly data: Readonly<Record<string, string>>;
}

/** A namespace whose pods use an image; with a pull secret of the registry when it has a password. */
export interface Tenant {
  readonly namespace: string;
  /** `user:password` that the kubelet shows the proxy, from the Secret that admission named. */
  readonly creds: string;
}

export interface TenantOptions {
  readonly namespace: string;
  readonly host: string;
  readonly password?: string;
  readonly images: readonly string[];
  /** How images name the proxy. */
  readonly prefix: string;
}

/** Makes the namespace, its secret and a pod on node-1, and waits for the grant, as a kubelet would: by the pod's own list of pull secrets. */
export async function makeTenant(
  plane: ControlPlane,
  { namespace, host, password, images, prefix }: TenantOptions,
): Promise<Tenant> {
  await plane.namespace(namespace);
  if (password !== undefined) {
    const auths = { [host]: { username: namespace, password } };
    await plane.api.create(`/api/v1/namespaces/${namespace}/secrets`, {
      metadata: { name: 'registry' },
      type: 'kubernetes.io/dockerconfigjson',
      stringData: { '.dockerconfigjson': JSON.stringify({ auths }) },
    });
  }
  const containers = images.map((image, at) => ({ name: `c${at}`, image }));
  const wanted = pod('app', containers, [], namespace);
  if (password !== undefined) wanted.spec['imagePullSecrets'] = [{ name: 'registry' }];
  const made = await plane.api.create<Pod>(`/api/v1/namespaces/${namespace}/pods`, wanted);
  await plane.bindPod(namespace, 'app', 'node-1');
  const names = (made.spec['imagePullSecrets'] as { name: string }[]).map(({ name }) => name);
  const name = names.find((each) => each === pullSecretName('default'))!;
  const secret = await until(() => plane.api.find<Secret>(`/api/v1/namespaces/${namespace}/secrets/${name}`), {
    what: `Secret ${namespace}/${name}`,
    timeoutMs: 10_000,
  });
  const config = JSON.parse(Buffer.from(secret.data['.dockerconfigjson']!, 'base64').toString()) as {
    auths: Record<string, { auth: string }>;
  };
  return { namespace, creds: Buffer.from(config.auths[prefix]!.auth, 'base64').toString() };
}
