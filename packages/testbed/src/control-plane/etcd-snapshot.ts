const ROOT = '/registry/';

/** What the API server keeps for itself, and definitions, which are expensive to serve anew. */
const KEPT = [
  'apiextensions.k8s.io/customresourcedefinitions/',
  'apiregistration.k8s.io/apiservices/',
  'configmaps/kube-system/',
  'endpointslices/default/kubernetes',
  'leases/kube-system/',
  'masterleases/',
  'ranges/',
  'rolebindings/kube-public/system:',
  'rolebindings/kube-system/system:',
  'services/endpoints/default/kubernetes',
].map((prefix) => ROOT + prefix);

interface Entry {
  readonly key: string;
  readonly value: string;
  readonly revision: string;
}

/**
 * Puts an API server's content back to what it was when `take` was called, by writing to its etcd: the API server follows
 * etcd as it always does. In one step and without controllers, where deleting a namespace over the API never ends.
 */
export class EtcdSnapshot {
  readonly #url: string;
  #taken = new Map<string, Entry>();

  constructor(url: string) {
    this.#url = url;
  }

  async take(): Promise<void> {
    this.#taken = new Map((await this.#read()).map((entry) => [entry.key, entry]));
  }

  /** Removes what came since (definitions stay), restores what was changed or removed. */
  async restore(): Promise<void> {
    const now = new Map((await this.#read()).map((entry) => [entry.key, entry]));
    const isKept = (key: string): boolean => KEPT.some((prefix) => key.startsWith(prefix));
    const operations = [
      ...[...now.keys()]
        .filter((key) => !this.#taken.has(key) && !isKept(key))
        .map((key) => ({ requestDeleteRange: { key: base64(key) } })),
      ...[...this.#taken.values()]
        .filter(({ key, revision }) => now.get(key)?.revision !== revision && !isKept(key))
        .map(({ key, value }) => ({ requestPut: { key: base64(key), value } })),
    ];
    // etcd takes at most 128 operations in one transaction.
    for (let at = 0; at < operations.length; at += 100) {
      await this.#call('txn', { success: operations.slice(at, at + 100) });
    }
    // What was put back has new revisions.
    if (operations.length > 0) await this.#remember();
  }

  async #remember(): Promise<void> {
    for (const entry of await this.#read()) {
      if (this.#taken.has(entry.key)) this.#taken.set(entry.key, entry);
    }
  }

  async #read(): Promise<Entry[]> {
    const range = { key: base64(ROOT), range_end: base64('/registry0') };
    const reply = await this.#call<{ kvs?: { key: string; value?: string; mod_revision: string }[] }>('range', range);
    return (reply.kvs ?? []).map(({ key, value = '', mod_revision }) => ({
      key: Buffer.from(key, 'base64').toString(),
      value,
      revision: mod_revision,
    }));
  }

  async #call<T>(method: string, body: unknown): Promise<T> {
    const response = await fetch(`${this.#url}/v3/kv/${method}`, {
      method: 'POST',
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(10_000),
    });
    if (!response.ok) throw new Error(`etcd answers ${response.status} to ${method}: ${await response.text()}`);
    return (await response.json()) as T;
  }
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
