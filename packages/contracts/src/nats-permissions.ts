import { declaredService, SERVICES, type ServiceName } from './services.ts';
import { DURABLE_STREAMS, STATE_BUCKETS } from './subjects.ts';
import type { DurableStream, StateBucket } from './wire.ts';

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
 * The server's permissions, derived from what each service's folder declares: it may publish and hear exactly that.
 * JetStream's API is open per stream, not as a whole.
 */
export function natsPermissions(): Record<ServiceName, NatsPermissions> {
  return Object.fromEntries(SERVICES.map((service) => [service, permissionsOf(service)])) as Record<
    ServiceName,
    NatsPermissions
  >;
}

function permissionsOf(service: ServiceName): NatsPermissions {
  const { nats } = declaredService(service);
  const publish = new Set<string>([...nats.publishes, ...nats.requests]);
  const subscribe = new Set<string>([`${inboxPrefix(service)}.>`, ...nats.subscribes, ...nats.responds]);
  const mayPublish = (...subjects: string[]): void => subjects.forEach((subject) => publish.add(subject));

  for (const stream of DURABLE_STREAMS) {
    if (nats.publishes.includes(stream.subject)) mayPublish(...streamReading(stream.stream));
    if (nats.consumes.includes(stream.subject)) mayPublish(stream.deadLetters, ...consuming(stream));
  }
  for (const { bucket, lookedUp } of STATE_BUCKETS as readonly Pick<StateBucket<unknown>, 'bucket' | 'lookedUp'>[]) {
    const stream = `KV_${bucket}`;
    if (nats.reads.includes(bucket) && lookedUp === true) mayPublish(`$JS.API.DIRECT.GET.${stream}.$KV.${bucket}.>`);
    else if (nats.reads.includes(bucket)) {
      mayPublish(...streamReading(stream), ...keyReading(stream));
      subscribe.add(`$KV.${bucket}.>`);
    }
    if (nats.writes.includes(bucket)) mayPublish(`$KV.${bucket}.>`);
    if (nats.owns.includes(bucket)) mayPublish(...streamReading(stream), ...owning(stream));
  }
  return { publish: [...publish].sort(), subscribe: [...subscribe].sort(), responds: nats.responds.length > 0 };
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
