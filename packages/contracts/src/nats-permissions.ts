import { CORE_SUBJECTS, DURABLE_STREAMS, REQUEST_SUBJECTS, STATE_BUCKETS } from './subjects.ts';
import { SERVICES, type DurableStream, type ServiceName } from './wire.ts';

/** What one service's NATS user may do: subjects with wildcards, as the server's configuration takes them. */
export interface NatsPermissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
  /** May answer one reply per request that it was sent, without naming the requester's inbox. */
  readonly responds: boolean;
}

/** A service's own inbox prefix (`inboxPrefix` of its connection): nobody else may listen there. */
export function inboxPrefix(service: ServiceName): string {
  return `_INBOX_${service}`;
}

/** Name of the stream that keeps what a durable stream's consumers refused. */
export function deadLetterStream(stream: Pick<DurableStream<unknown>, 'stream'>): string {
  return `${stream.stream}_DEAD`;
}

/**
 * The server's permissions, derived from the tables of subjects, streams and buckets: each service may publish and hear
 * exactly what a table names it for. JetStream's API is open per stream, not as a whole.
 */
export function natsPermissions(): Record<ServiceName, NatsPermissions> {
  return Object.fromEntries(SERVICES.map((service) => [service, permissionsOf(service)])) as Record<
    ServiceName,
    NatsPermissions
  >;
}

function permissionsOf(service: ServiceName): NatsPermissions {
  const publish = new Set<string>();
  const subscribe = new Set<string>([`${inboxPrefix(service)}.>`]);
  let responds = false;
  const mayPublish = (...subjects: string[]): void => subjects.forEach((subject) => publish.add(subject));

  for (const { subject, publishers, subscribers } of CORE_SUBJECTS) {
    if (has(publishers, service)) mayPublish(subject);
    if (has(subscribers, service)) subscribe.add(subject);
  }
  for (const { subject, requesters, responders } of REQUEST_SUBJECTS) {
    if (has(requesters, service)) mayPublish(subject);
    if (has(responders, service)) {
      subscribe.add(subject);
      responds = true;
    }
  }
  for (const stream of DURABLE_STREAMS) {
    if (has(stream.publishers, service)) mayPublish(stream.subject, ...streamReading(stream.stream));
    if (has(stream.consumers, service)) mayPublish(stream.deadLetters, ...consuming(stream));
  }
  for (const bucket of STATE_BUCKETS) {
    const stream = `KV_${bucket.bucket}`;
    if (has(bucket.readers, service)) {
      mayPublish(...streamReading(stream), ...keyReading(stream));
      subscribe.add(`$KV.${bucket.bucket}.>`);
    }
    if (has(bucket.writers, service)) mayPublish(`$KV.${bucket.bucket}.>`);
    if (bucket.owner === service) mayPublish(...owning(stream));
  }
  return { publish: [...publish].sort(), subscribe: [...subscribe].sort(), responds };
}

/** Every JetStream user asks for the account's limits and its stream's state. */
function streamReading(stream: string): string[] {
  return ['$JS.API.INFO', `$JS.API.STREAM.INFO.${stream}`];
}

/** Reads of single keys, and the ephemeral consumer by which a client lists a bucket's keys. */
function keyReading(stream: string): string[] {
  return [
    `$JS.API.DIRECT.GET.${stream}`,
    `$JS.API.DIRECT.GET.${stream}.>`,
    `$JS.API.STREAM.MSG.GET.${stream}`,
    ...ephemeralConsumers(stream),
  ];
}

function ephemeralConsumers(stream: string): string[] {
  return [
    `$JS.API.CONSUMER.CREATE.${stream}`,
    `$JS.API.CONSUMER.CREATE.${stream}.>`,
    `$JS.API.CONSUMER.INFO.${stream}.*`,
    `$JS.API.CONSUMER.DELETE.${stream}.*`,
    `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
    `$JS.ACK.${stream}.>`,
    `$JS.FC.${stream}.>`,
  ];
}

/** The consumers' side makes the stream and the one for its dead letters, and their consumers. */
function consuming(stream: DurableStream<unknown>): string[] {
  return [
    ...streamReading(stream.stream),
    ...owning(stream.stream),
    ...streamReading(deadLetterStream(stream)),
    ...owning(deadLetterStream(stream)),
    ...ephemeralConsumers(stream.stream),
    `$JS.API.CONSUMER.DURABLE.CREATE.${stream.stream}.*`,
  ];
}

function owning(stream: string): string[] {
  return [`$JS.API.STREAM.CREATE.${stream}`, `$JS.API.STREAM.UPDATE.${stream}`, `$JS.API.STREAM.PURGE.${stream}`];
}

function has(services: readonly ServiceName[], service: ServiceName): boolean {
  return services.includes(service);
}

/** The `authorization` block of nats-server's configuration: one nkey user per service, nothing for anybody else. */
export function natsAuthorization(publicKeys: Readonly<Record<ServiceName, string>>): { users: NatsUser[] } {
  const permissions = natsPermissions();
  return {
    users: SERVICES.map((service) => {
      const { publish, subscribe, responds } = permissions[service];
      return {
        nkey: publicKeys[service],
        permissions: {
          publish: { allow: [...publish] },
          subscribe: { allow: [...subscribe] },
          ...(responds ? { allow_responses: { max: 1, expires: '1m' } } : {}),
        },
      };
    }),
  };
}

export interface NatsUser {
  nkey: string;
  permissions: {
    publish: { allow: string[] };
    subscribe: { allow: string[] };
    allow_responses?: { max: number; expires: string };
  };
}
