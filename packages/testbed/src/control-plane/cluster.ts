import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { ApiClient, ControlPlane, KubeObject, TokenOptions } from '../port.ts';
import { until } from '../process/until.ts';
import { ApiError, TestApiClient, type ApiEndpoint } from './api-client.ts';
import { kubeconfig } from './kubeconfig.ts';

/** Everything needed to talk to a control plane as its administrator; fits into one JSON message. */
export interface ClusterConnection extends Required<ApiEndpoint> {
  /** Admin kubeconfig file; further ones are written beside it. */
  readonly kubeconfig: string;
}

/** What differs between a control plane of one's own and a leased one. */
export interface ClusterEnds {
  wipe(): Promise<void>;
  stop(): Promise<void>;
}

/** The part of a control plane that only needs its API; stands in for scheduler and controllers where tests need them. */
export class Cluster implements ControlPlane {
  readonly url: string;
  readonly caPem: string;
  readonly kubeconfig: string;
  readonly #client: TestApiClient;
  readonly #ends: ClusterEnds;
  #kubeconfigs = 0;
  #stopped: Promise<void> | undefined;

  constructor(connection: ClusterConnection, ends: ClusterEnds) {
    this.url = connection.url;
    this.caPem = connection.caPem;
    this.kubeconfig = connection.kubeconfig;
    this.#client = new TestApiClient(connection);
    this.#ends = ends;
  }

  get api(): ApiClient {
    return this.#client;
  }

  async namespace(name: string, labels: Record<string, string> = {}): Promise<void> {
    await this.#client.apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } });
    await this.serviceAccount(name, 'default');
  }

  async serviceAccount(namespace: string, name: string): Promise<void> {
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts`;
    await createOnce(this.#client, path, { metadata: { name, namespace } });
  }

  async node(name: string): Promise<void> {
    await createOnce(this.#client, '/api/v1/nodes', { metadata: { name, labels: { 'kubernetes.io/hostname': name } } });
  }

  async bindPod(namespace: string, pod: string, node = 'node-1'): Promise<void> {
    await this.#client.create(`/api/v1/namespaces/${namespace}/pods/${pod}/binding`, {
      metadata: { name: pod, namespace },
      target: { apiVersion: 'v1', kind: 'Node', name: node },
    });
  }

  async token(namespace: string, serviceAccount: string, options: TokenOptions = {}): Promise<string> {
    const { audiences = [], pod, expirationSeconds = 24 * 3600 } = options;
    const bound = pod ? await this.#client.get(`/api/v1/namespaces/${namespace}/pods/${pod}`) : undefined;
    const request = {
      spec: {
        audiences,
        expirationSeconds,
        ...(bound
          ? { boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: bound.metadata.name, uid: bound.metadata.uid } }
          : {}),
      },
    };
    const path = `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`;
    return (await this.#client.create<{ status: { token: string } }>(path, request)).status.token;
  }

  async kubeconfigFor(namespace: string, serviceAccount: string): Promise<string> {
    const token = await this.token(namespace, serviceAccount);
    const name = `kubeconfig-${namespace}-${serviceAccount}-${process.pid}-${++this.#kubeconfigs}`;
    const file = path.join(path.dirname(this.kubeconfig), name);
    writeFileSync(file, kubeconfig(this.url, this.caPem, { token }), { mode: 0o600 });
    return file;
  }

  applyYaml(yaml: string, options: { dryRun?: boolean } = {}): Promise<KubeObject[]> {
    const objects = parseAllDocuments(yaml).map((document) => {
      if (document.errors.length > 0) throw new Error(`not YAML: ${document.errors[0]?.message ?? ''}`);
      return document.toJS() as object | null;
    });
    return this.applyAll(
      objects.filter((object) => object !== null),
      options,
    );
  }

  async applyAll(objects: readonly object[], options: { dryRun?: boolean } = {}): Promise<KubeObject[]> {
    const [definitions, namespaces, others] = inOrder(objects as readonly KubeObject[]);
    const applied = [];
    for (const definition of definitions) applied.push(await this.#client.apply(definition, options));
    if (!options.dryRun) await Promise.all(definitions.map((definition) => this.#served(definition)));
    for (const namespace of namespaces) {
      applied.push(await this.#client.apply(namespace, options));
      if (!options.dryRun) await this.serviceAccount(namespace.metadata.name, 'default');
    }
    for (const object of others) applied.push(await this.#client.apply(object, options));
    return applied;
  }

  wipe(): Promise<void> {
    return this.#ends.wipe();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#client.close().then(() => this.#ends.stop());
    return this.#stopped;
  }

  /** A definition is Established before every version answers, and that is what callers wait for. */
  async #served(definition: KubeObject): Promise<void> {
    const { group, names, versions } = definition['spec'] as {
      group: string;
      names: { plural: string };
      versions: { name: string; served: boolean }[];
    };
    for (const { name } of versions.filter((version) => version.served)) {
      const path = `/apis/${group}/${name}/${names.plural}?limit=1`;
      await until(() => this.#client.find(path), { what: `${definition.metadata.name} to be served` });
    }
  }
}

/** Definitions first, then namespaces, then the rest in the order given. */
function inOrder(objects: readonly KubeObject[]): [KubeObject[], KubeObject[], KubeObject[]] {
  const flat = objects.flatMap((object) =>
    object.kind === 'List' ? (object as unknown as { items: KubeObject[] }).items : [object],
  );
  const rank = ({ kind }: KubeObject): number =>
    kind === 'CustomResourceDefinition' ? 0 : kind === 'Namespace' ? 1 : 2;
  const of = (wanted: number): KubeObject[] => flat.filter((object) => rank(object) === wanted);
  return [of(0), of(1), of(2)];
}

async function createOnce(client: ApiClient, path: string, object: unknown): Promise<void> {
  try {
    await client.create(path, object);
  } catch (error) {
    if (!(error instanceof ApiError && error.reason === 'AlreadyExists')) throw error;
  }
}
