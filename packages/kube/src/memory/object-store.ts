import { randomUUID } from 'node:crypto';
import { plural } from '../call-target.ts';
import { KubeError } from '../kube-error.ts';
import { keyOf, nameOnly } from '../object-name.ts';
import { collectionPath } from '../paths.ts';
import type { KubeObject, ObjectName, Resource } from '../port.ts';
import { History } from './history.ts';
import { isJson, mergePatched, sameJson, type Json } from '../json.ts';
import { applyForced, disown, type Owners } from './server-side-apply.ts';

interface Stored {
  object: KubeObject;
  owners: Owners;
}

/** Which part of an object a write may touch: a status write nothing but the status, any other nothing of it (where there is one). */
export type Part = 'status' | 'main' | 'all';

/** Objects with versions, owners and finalizers: what the API server keeps in etcd. */
export class ObjectStore {
  readonly history = new History();
  readonly #collections = new Map<string, Map<string, Stored>>();
  readonly #now: () => Date;

  constructor(now: () => Date) {
    this.#now = now;
  }

  all(resource: Resource): KubeObject[] {
    const stored = [...this.#collection(resource)].sort(([a], [b]) => (a < b ? -1 : 1));
    return stored.map(([, { object }]) => object);
  }

  find(resource: Resource, name: ObjectName): KubeObject | undefined {
    return this.#collection(resource).get(keyOf(name))?.object;
  }

  read(resource: Resource, name: ObjectName): KubeObject {
    const object = this.find(resource, name);
    if (object !== undefined) return object;
    throw new KubeError('not-found', `${plural(resource)} "${name.name}" not found; check the name`, { status: 404 });
  }

  create(resource: Resource, document: Json, name: ObjectName): KubeObject {
    if (this.find(resource, name) !== undefined) {
      const message = `${plural(resource)} "${name.name}" already exists; read the existing object`;
      throw new KubeError('already-exists', message, { status: 409 });
    }
    const { uid, resourceVersion, generation, ...metadata } = (document['metadata'] ?? {}) as Partial<
      KubeObject['metadata']
    >;
    void [uid, resourceVersion, generation];
    const made = {
      ...structuredClone(document),
      apiVersion: resource.group === undefined ? resource.version : `${resource.group}/${resource.version}`,
      kind: resource.kind,
      metadata: {
        ...metadata,
        ...nameOnly(name),
        uid: randomUUID(),
        resourceVersion: String(this.history.next()),
        generation: 1,
        creationTimestamp: this.#now()
          .toISOString()
          .replace(/\.\d+Z$/, 'Z'),
      },
    };
    this.#collection(resource).set(keyOf(name), { object: made, owners: new Map() });
    this.#record(resource, made, undefined, false);
    return made;
  }

  /** Replaces what `part` allows by what `change` makes of a copy. */
  update(resource: Resource, name: ObjectName, part: Part, change: (document: Json) => Json): KubeObject {
    const old = this.read(resource, name);
    const changed = change(structuredClone(old) as unknown as Json);
    const { owners } = this.#collection(resource).get(keyOf(name))!;
    const object = this.#save(resource, old, changed, part);
    disown(object as unknown as Json, owners);
    return object;
  }

  merge(resource: Resource, name: ObjectName, part: Part, patch: Json): KubeObject {
    this.#checkVersion(resource, name, patch);
    return this.update(resource, name, part, (document) => mergePatched(document, patch) as Json);
  }

  apply(resource: Resource, name: ObjectName, part: Part, manager: string, patch: Json): KubeObject {
    this.#checkVersion(resource, name, patch);
    const old = this.read(resource, name);
    const { owners } = this.#collection(resource).get(keyOf(name))!;
    const document = structuredClone(old) as unknown as Json;
    applyForced(resource, document, owners, `${manager}/${part}`, ownPart(patch, part));
    return this.#save(resource, old, document, part);
  }

  /** Deletes, or only marks what still has finalizers. */
  delete(
    resource: Resource,
    name: ObjectName,
    preconditions: { uid?: string | undefined; resourceVersion?: string | undefined },
  ): void {
    const old = this.read(resource, name);
    for (const field of ['uid', 'resourceVersion'] as const) {
      const wanted = preconditions[field];
      if (wanted === undefined || wanted === old.metadata[field]) continue;
      throw conflict(resource, name, `${field} is ${old.metadata[field]}, not ${wanted}`);
    }
    if ((old.metadata.finalizers ?? []).length === 0) this.#drop(resource, old);
    else if (old.metadata.deletionTimestamp === undefined) {
      const deletionTimestamp = this.#now()
        .toISOString()
        .replace(/\.\d+Z$/, 'Z');
      const generation = (old.metadata.generation ?? 0) + 1;
      const metadata = { ...old.metadata, deletionTimestamp, generation, resourceVersion: String(this.history.next()) };
      this.#put(resource, { ...old, metadata }, old);
    }
  }

  #save(resource: Resource, old: KubeObject, changed: Json, part: Part): KubeObject {
    const { uid, creationTimestamp, deletionTimestamp, generation, resourceVersion } = old.metadata;
    const before = old as unknown as Json;
    const merged: Json = part === 'status' ? { ...before, status: changed['status'] } : { ...changed };
    if (part === 'main') merged['status'] = before['status'];
    if (sameJson(merged['status'] ?? {}, {})) delete merged['status'];
    const wished = part === 'status' ? old.metadata : (changed['metadata'] as KubeObject['metadata']);
    const fixed = { uid, resourceVersion, ...(creationTimestamp === undefined ? {} : { creationTimestamp }) };
    const metadata: KubeObject['metadata'] = { ...wished, ...fixed };
    delete metadata.deletionTimestamp;
    if (deletionTimestamp !== undefined) metadata.deletionTimestamp = deletionTimestamp;
    if (generation !== undefined) metadata.generation = generation + (sameJson(merged['spec'], before['spec']) ? 0 : 1);
    const object = { ...merged, metadata } as unknown as KubeObject;
    if (sameJson(object, old)) return old;
    metadata.resourceVersion = String(this.history.next());
    if (deletionTimestamp !== undefined && (metadata.finalizers ?? []).length === 0) {
      this.#drop(resource, object);
      return object;
    }
    this.#put(resource, object, old);
    return object;
  }

  #put(resource: Resource, object: KubeObject, old: KubeObject): void {
    this.#collection(resource).get(keyOf(object.metadata))!.object = object;
    this.#record(resource, object, old, false);
  }

  #drop(resource: Resource, last: KubeObject): void {
    this.#collection(resource).delete(keyOf(last.metadata));
    const object = { ...last, metadata: { ...last.metadata, resourceVersion: String(this.history.next()) } };
    this.#record(resource, object, last, true);
  }

  #record(resource: Resource, object: KubeObject, old: KubeObject | undefined, gone: boolean): void {
    const version = Number(object.metadata.resourceVersion);
    this.history.add({ version, collection: collectionPath(resource), object, old, gone });
  }

  #checkVersion(resource: Resource, name: ObjectName, patch: Json): void {
    const asked = isJson(patch['metadata']) ? patch['metadata']['resourceVersion'] : undefined;
    const found = this.find(resource, name)?.metadata.resourceVersion;
    if (asked === undefined || found === undefined || asked === found) return;
    throw conflict(resource, name, 'the object has been modified');
  }

  #collection(resource: Resource): Map<string, Stored> {
    const path = collectionPath(resource);
    let collection = this.#collections.get(path);
    if (collection === undefined) this.#collections.set(path, (collection = new Map<string, Stored>()));
    return collection;
  }
}

/** What of an applied patch counts: no identity, and only the part that this write may touch. */
function ownPart(patch: Json, part: Part): Json {
  if (part === 'status') return patch['status'] === undefined ? {} : { status: patch['status'] };
  const { apiVersion, kind, status, metadata, ...rest } = patch;
  void [apiVersion, kind];
  const { name, namespace, uid, resourceVersion, ...meta } = (metadata ?? {}) as Json;
  void [name, namespace, uid, resourceVersion];
  return {
    ...rest,
    ...(Object.keys(meta).length === 0 ? {} : { metadata: meta }),
    ...(part === 'all' && status !== undefined ? { status } : {}),
  };
}

function conflict(resource: Resource, { name }: ObjectName, why: string): KubeError {
  return new KubeError('conflict', `${plural(resource)} "${name}": ${why}; read the object again and decide anew`, {
    status: 409,
  });
}
