import { Decider, rulesFile, type WrittenRules } from '@kuik/rules';
import type { AdmissionRequest } from './review.ts';

type Fields = Record<string, unknown>;

/** A pod as the API server sends it at admission, for tests: two containers unless told otherwise. */
export function podOf(spec: Fields = {}, metadata: Fields = {}): Fields {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'shop', namespace: 'default', ...metadata },
    spec: {
      containers: [
        { name: 'app', image: 'registry.example.test/shop:1.0' },
        { name: 'sidecar', image: 'nginx' },
      ],
      ...spec,
    },
  };
}

/** A CREATE of this object, for tests. */
export function requestOf(
  object: unknown,
  change: Partial<Record<keyof AdmissionRequest, unknown>> = {},
): AdmissionRequest {
  return {
    uid: '0be1f7aa-1111-4222-8333-444455556666',
    operation: 'CREATE',
    resource: { group: '', version: 'v1', resource: 'pods' },
    subResource: undefined,
    namespace: 'default',
    name: 'shop',
    dryRun: false,
    object,
    oldObject: null,
    ...change,
  } as AdmissionRequest;
}

/** The AdmissionReview around a request, as bytes. */
export function reviewOf(request: unknown, change: Fields = {}): Buffer {
  return Buffer.from(
    JSON.stringify({ kind: 'AdmissionReview', apiVersion: 'admission.k8s.io/v1', request, ...change }),
  );
}

/** Applies the operations that this webhook makes; throws for a path that does not exist, as the API server does. */
export function applyPatch(object: Fields, patch: readonly { op: string; path: string; value: unknown }[]): Fields {
  const result = structuredClone(object);
  for (const { op, path, value } of patch) {
    const steps = path
      .slice(1)
      .split('/')
      .map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'));
    const last = steps.pop()!;
    const parent = steps.reduce<unknown>((at, step) => (at as Fields | undefined)?.[step], result) as
      Fields | undefined;
    if (parent === undefined || (op === 'replace' && !(last in parent))) throw new Error(`no such path: ${path}`);
    if (last === '-') (parent as unknown as unknown[]).push(value);
    else parent[last] = value;
  }
  return result;
}

/** Rules for tests: their defaults with what is changed, and images of any pull policy. */
export function deciderOf(change: WrittenRules = {}): Decider {
  const options = { ownNamespaces: ['kuik-system', 'kube-system'], proxyPrefixes: ['localhost:7439'] };
  return new Decider(rulesFile.parse({ ignorePullPolicyAlways: false, ...change }), options);
}
