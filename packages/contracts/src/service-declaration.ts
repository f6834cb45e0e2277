import { parse } from 'yaml';
import { z } from 'zod';
import { QUEUES } from './queues.ts';
import { CORE_SUBJECTS, CREDENTIALS, DURABLE_STREAMS, REQUEST_SUBJECTS, STATE_BUCKETS } from './subjects.ts';

/** Sections of configuration (config-parts.ts) that a service may have; `http` and `nats` every one has, `cache` is declared apart. */
const NEEDS = ['kube', 'lease', 'redis', 'broker', 'registries', 'proxyPrefixes', 'rules'] as const;
export type Need = (typeof NEEDS)[number];

const core = CORE_SUBJECTS.map(({ subject }) => subject);
const durable = DURABLE_STREAMS.map(({ subject }) => subject);
const request = REQUEST_SUBJECTS.map(({ subject }) => subject);
const buckets = STATE_BUCKETS.map(({ bucket }) => bucket);
const queues = QUEUES.map(({ queue }) => queue);

const someOf = (names: readonly string[]) => z.array(z.enum(names as [string, ...string[]])).default([]);

const natsRoles = z.strictObject({
  publishes: someOf([...core, ...durable]).describe('Core subjects and durable streams, by subject'),
  subscribes: someOf(core).describe('Core subjects'),
  consumes: someOf(durable).describe('Durable streams, by subject; their consumers make them'),
  requests: someOf(request),
  responds: someOf(request),
  owns: someOf(buckets).describe('Buckets that it makes, and alone fills without comparing; every one has one owner'),
  writes: someOf(buckets).describe('Buckets, by compare-and-set; the owner writes too'),
  reads: someOf(buckets),
});
const queueRoles = z.strictObject({ produces: someOf(queues), works: someOf(queues) });
const settings = z.record(z.string(), z.unknown()).default({});

const running = z
  .strictObject({
    runs: z
      .enum(['replicated', 'on-each-node'])
      .describe("Replicas anywhere; or one on every node, on the host's network, in the namespace that allows this"),
    needs: z.array(z.enum(NEEDS)).default([]).describe('`redis` follows from queues, `broker` from its requests'),
    cache: z.enum(['writer', 'reader']).optional().describe('Which key of the cache registry it holds; absent: none'),
    grants: z
      .enum(['signer', 'checker'])
      .optional()
      .describe('Whether it signs pull grants of private images or checks them; absent: neither'),
    nats: natsRoles.prefault({}),
    queues: queueRoles.prefault({}),
    env: z.record(z.string(), z.string()).default({}).describe('Environment of its process wherever it runs'),
    local: z
      .strictObject({ replicas: z.int().min(1).max(9).default(1), settings })
      .prefault({})
      .describe('In the local stack; settings may name what is only known then: ${proxyPort}'),
    compose: z
      .strictObject({ ports: z.array(z.int().min(1).max(65535)).default([]), settings })
      .prefault({})
      .describe('In docker compose; ports are published on 127.0.0.1'),
  })
  .transform((declared) => {
    const { nats, queues: jobs } = declared;
    const follows = new Set<Need>(declared.needs);
    if ([...jobs.produces, ...jobs.works].length > 0) follows.add('redis');
    if (nats.requests.includes(CREDENTIALS.subject)) follows.add('broker');
    return {
      ...declared,
      needs: NEEDS.filter((need) => follows.has(need)),
      nats: { ...nats, writes: [...new Set([...nats.owns, ...nats.writes])] },
    };
  });

/** A job has no identity on NATS, Redis or the cache registry; the chart says what it may do. */
const once = z.strictObject({ runs: z.literal('once') });

const serviceDeclaration = z.discriminatedUnion('runs', [running, once]);
export type ServiceDeclaration = z.output<typeof running>;

/**
 * `services/<name>/service.yaml`: what a service says of itself, once, for all that starts, connects and guards it. What follows from
 * something else in it is filled in. Undefined for a job. Throws with every mistake and where it is.
 */
export function parseDeclaration(yaml: string): ServiceDeclaration | undefined {
  const { data, error } = serviceDeclaration.safeParse(parse(yaml));
  if (error !== undefined)
    throw new Error(error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('\n'));
  return data.runs === 'once' ? undefined : data;
}

/** The part of a declaration that the services themselves go by (generated/services.ts). */
export interface DeclaredService {
  readonly runs: ServiceDeclaration['runs'];
  readonly needs: readonly Need[];
  readonly cache?: 'writer' | 'reader' | undefined;
  readonly grants?: 'signer' | 'checker' | undefined;
  readonly nats: Readonly<Record<keyof z.output<typeof natsRoles>, readonly string[]>>;
  readonly queues: Readonly<Record<keyof z.output<typeof queueRoles>, readonly string[]>>;
}
