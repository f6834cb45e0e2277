import { QUEUES } from './queues.ts';
import type { DeclaredService } from './service-declaration.ts';
import { CORE_SUBJECTS, DURABLE_STREAMS, REQUEST_SUBJECTS, STATE_BUCKETS } from './subjects.ts';

/** Which services are at the two ends of one subject, stream, bucket or queue. */
export interface Ends {
  readonly name: string;
  readonly kind: 'core' | 'durable' | 'request' | 'bucket' | 'queue';
  readonly from: readonly string[];
  readonly to: readonly string[];
  /** Who makes a bucket; exactly one. */
  readonly owners: readonly string[];
}

/** One entry for everything that services say to each other, in the order of the tables. */
export function whoSaysWhat(services: Readonly<Record<string, DeclaredService>>): Ends[] {
  const who = (does: (service: DeclaredService) => readonly string[], name: string): string[] =>
    Object.entries(services).flatMap(([service, declared]) => (does(declared).includes(name) ? [service] : []));
  const nats = (kind: Ends['kind'], name: string, from: keyof DeclaredService['nats'], to: typeof from): Ends => ({
    name,
    kind,
    from: who((service) => service.nats[from], name),
    to: who((service) => service.nats[to], name),
    owners: who((service) => service.nats.owns, name),
  });
  return [
    ...CORE_SUBJECTS.map(({ kind, subject }) => nats(kind, subject, 'publishes', 'subscribes')),
    ...REQUEST_SUBJECTS.map(({ kind, subject }) => nats(kind, subject, 'requests', 'responds')),
    ...DURABLE_STREAMS.map(({ kind, subject }) => nats(kind, subject, 'publishes', 'consumes')),
    ...STATE_BUCKETS.map(({ kind, bucket }) => nats(kind, bucket, 'writes', 'reads')),
    ...QUEUES.map(({ kind, queue }) => ({
      name: queue,
      kind,
      from: who((service) => service.queues.produces, queue),
      to: who((service) => service.queues.works, queue),
      owners: [],
    })),
  ];
}

/** What is wrong with all declarations together, one line each: somebody has to say, and somebody to hear, everything. */
export function unansweredRoles(services: Readonly<Record<string, DeclaredService>>): string[] {
  return whoSaysWhat(services).flatMap(({ name, kind, from, to, owners }) => [
    ...(from.length === 0 ? [`${name}: no service is at its sending end`] : []),
    ...(to.length === 0 ? [`${name}: no service is at its receiving end`] : []),
    ...(kind === 'bucket' && owners.length !== 1
      ? [`${name}: one service must own it, not ${owners.length === 0 ? 'none' : owners.join(' and ')}`]
      : []),
  ]);
}
