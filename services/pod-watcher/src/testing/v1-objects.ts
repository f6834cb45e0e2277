import { CRDS } from '@kuik/contracts';
import type { ApiClient, KubeObject } from '@kuik/testbed';

const API = 'kuik.enix.io/v1alpha1';
const PATHS: Readonly<Record<string, string>> = { CachedImage: 'cachedimages', Repository: 'repositories' };

/** The custom resources as kuik v1 had them: under the same names, and with next to no rules. */
export function v1Definitions(): object[] {
  const anything = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  const openAPIV3Schema = { type: 'object', properties: { spec: anything, status: anything } };
  return CRDS.map(({ apiVersion, kind, metadata, spec: { versions, ...spec } }) => ({
    apiVersion,
    kind,
    metadata,
    spec: { ...spec, versions: [{ ...versions[0], additionalPrinterColumns: [], schema: { openAPIV3Schema } }] },
  }));
}

/** A CachedImage as v1.14's controllers leave it: copied, used by nobody, with the date that they computed. */
export function v1Image(name: string, sourceImage: string, status: object = {}): KubeObject {
  const hex = 'ab'.repeat(32);
  return {
    apiVersion: API,
    kind: 'CachedImage',
    metadata: {
      name,
      finalizers: ['cachedimage.kuik.enix.io/finalizer'],
      ownerReferences: [{ apiVersion: API, kind: 'Repository', name: 'of-v1', uid: 'uid-of-its-repository' }],
    },
    // v1 deletes what is past this.
    spec: { sourceImage, expiresAt: '2026-01-02T03:04:05Z' },
    status: {
      phase: 'Ready',
      isCached: true,
      usedBy: { count: 0, pods: [] },
      digest: hex,
      upstreamDigest: hex,
      upToDate: true,
      availableUpstream: true,
      lastSync: '2026-01-01T00:00:00Z',
      lastSuccessfulPull: '2026-01-01T00:00:00Z',
      lastSeenUpstream: '2026-01-01T00:00:00Z',
      ...status,
    },
  };
}

/** A Repository, which v1 named after what it stands for. */
export function v1Repository(name: string, spec: object = {}): KubeObject {
  return {
    apiVersion: API,
    kind: 'Repository',
    metadata: { name: name.replaceAll(/[^a-z0-9.-]+/g, '-'), finalizers: ['repository.kuik.enix.io/finalizer'] },
    spec: { name, pullSecretsNamespace: 'default', ...spec },
    status: {
      images: 5,
      phase: 'Ready',
      conditions: [
        {
          type: 'Ready',
          status: 'True',
          reason: 'UpToDate',
          message: 'All images have been cached',
          lastTransitionTime: '2026-01-01T00:00:00Z',
        },
      ],
    },
  };
}

/** Creates an object and its status as v1's controllers do, under their name. */
export async function asV1Left(api: ApiClient, object: KubeObject): Promise<void> {
  const path = `/apis/${API}/${PATHS[object.kind]!}`;
  const { status, ...rest } = object as KubeObject & { status: object };
  await api.create(`${path}?fieldManager=manager`, rest);
  const patch = `${path}/${object.metadata.name}/status?fieldManager=manager`;
  await api.request('PATCH', patch, { status }, { contentType: 'application/merge-patch+json' });
}
