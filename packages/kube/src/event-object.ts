import type { FoldedEvent } from './event-fold.ts';
import { microTime } from './lease.ts';

/** events.k8s.io/v1 refuses longer ones: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/ */
const NOTE_BYTES = 1024;
const NAME_LENGTH = 253;

/** The namespace of an object's events; those of cluster-scoped objects live in `default`. */
export function eventNamespace({ object }: Pick<FoldedEvent, 'object'>): string {
  return object.metadata.namespace ?? 'default';
}

/** The Event object to create. `suffix` makes its name unique. */
export function eventObject(event: FoldedEvent, by: { controller: string; instance: string }, suffix: string): object {
  const { object, type, reason, message, firstAt } = event;
  const { name, namespace, uid, resourceVersion } = object.metadata;
  return {
    apiVersion: 'events.k8s.io/v1',
    kind: 'Event',
    metadata: { name: `${name.slice(0, NAME_LENGTH - suffix.length - 1)}.${suffix}`, namespace: eventNamespace(event) },
    eventTime: microTime(firstAt),
    reportingController: by.controller,
    reportingInstance: by.instance.slice(0, 128),
    action: reason,
    reason,
    type,
    note: noteOf(message),
    regarding: {
      apiVersion: object.apiVersion,
      kind: object.kind,
      name,
      ...(namespace === undefined ? {} : { namespace }),
      uid,
      resourceVersion,
    },
    ...(event.count > 1 ? { series: series(event) } : {}),
  };
}

/** `series` of an event that was repeated. */
export function series({ count, lastAt }: FoldedEvent): object {
  return { count, lastObservedTime: microTime(lastAt) };
}

/** A message as the API server takes it. */
export function noteOf(message: string): string {
  if (Buffer.byteLength(message) <= NOTE_BYTES) return message;
  const whole = Buffer.from(message)
    .subarray(0, NOTE_BYTES - 3)
    .toString('utf8');
  // A character that was cut in two decodes to U+FFFD.
  return `${whole.replace(/\uFFFD+$/, '')}…`;
}
