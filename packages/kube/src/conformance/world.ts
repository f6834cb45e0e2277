import type { CachedImage } from '@kuik/contracts';
import type { KubeClient } from '../port.ts';

/** What a conformance suite needs: an API server with our CRDs and the namespaces `default` and `other`. */
export interface World {
  client: KubeClient;
  /** Makes a past resourceVersion useless, and returns it. */
  goneVersion(): Promise<string>;
}

let count = 0;

/** A name that no other test of this process uses. */
export function unique(prefix: string): string {
  return `${prefix}-${(++count).toString(36)}-${process.pid.toString(36)}`;
}

export function image(name: string, spec: Partial<CachedImage['spec']> = {}, labels?: Record<string, string>): object {
  return {
    apiVersion: 'kuik.enix.io/v1alpha1',
    kind: 'CachedImage',
    metadata: { name, ...(labels === undefined ? {} : { labels }) },
    spec: { sourceImage: 'docker.io/library/nginx:1.27', ...spec },
  };
}
