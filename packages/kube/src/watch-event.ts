import type { CallTarget } from './call-target.ts';
import { KubeError } from './kube-error.ts';
import type { KubeObject, WatchEvent } from './port.ts';
import { statusError, type StatusBody } from './status-error.ts';

/**
 * One line of a watch. Throws the error of an ERROR event, and 'unexpected' for what is no event.
 * Source: https://kubernetes.io/docs/reference/using-api/api-concepts/#efficient-detection-of-changes
 */
export function watchEventOf<T extends KubeObject>(target: CallTarget, line: string): WatchEvent<T> {
  let event: { type?: string; object?: unknown };
  try {
    event = JSON.parse(line) as { type?: string; object?: unknown };
  } catch (error) {
    throw new KubeError('unexpected', `cannot watch ${target.path}: an event is not JSON`, { cause: error });
  }
  switch (event.type) {
    case 'ADDED':
    case 'MODIFIED':
    case 'DELETED':
      return { type: event.type, object: event.object as T };
    case 'BOOKMARK':
      return { type: 'BOOKMARK', resourceVersion: (event.object as KubeObject).metadata.resourceVersion };
    case 'ERROR': {
      const status = (event.object ?? {}) as StatusBody;
      throw statusError(target, status.code ?? 500, status);
    }
    default:
      throw new KubeError('unexpected', `cannot watch ${target.path}: unknown event type ${String(event.type)}`);
  }
}
