import { z } from 'zod';
import { DEFAULTS } from './defaults.ts';
import { duration } from './duration.ts';

/*
 * The parts of configuration that several services share, so that one setting has one name everywhere. Secrets are always files:
 * `...File` holds a path whose content is read at start (and again when the file changes, where said so).
 */

/** An absolute URL of one of the protocols. The text may hold a password: no message repeats it. */
function serverUrl(...protocols: readonly string[]): z.ZodString {
  const wanted = protocols.map((name) => `${name}://`).join(' or ');
  return z.string().refine((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    return url !== undefined && url.hostname !== '' && protocols.includes(url.protocol.slice(0, -1));
  }, `must be a URL that starts with ${wanted}`);
}

/** For an object whose certificate is of no use without its key, nor the key without the certificate. Said beside its other mistakes. */
export function keyAndCertificate<T extends z.ZodType<KeyAndCertificate>>(settings: T): T {
  return settings.refine(
    ({ keyFile, certificateFile }) => (keyFile === undefined) === (certificateFile === undefined),
    {
      message: 'keyFile and certificateFile go together',
      when: ({ value }) => typeof value === 'object' && value !== null,
    },
  );
}
interface KeyAndCertificate {
  keyFile?: string | undefined;
  certificateFile?: string | undefined;
}

export const natsConfig = z
  .strictObject({
    url: serverUrl('nats', 'tls').describe('nats://host:port of NATS'),
    nkeyFile: z.string().optional().describe("File with this service's nkey seed; absent: no authentication"),
  })
  .describe('NATS');

export const redisConfig = z
  .strictObject({
    url: serverUrl('redis', 'rediss').describe('redis://host:port[/db] of Redis'),
    username: z.string().optional().describe('ACL user of this service'),
    passwordFile: z.string().optional().describe("File with the ACL user's password"),
  })
  .describe('Redis');

export const kubeConfig = z
  .strictObject({
    kubeconfig: z.string().optional().describe("Path of a kubeconfig; absent: the pod's own service account"),
  })
  .describe('Kubernetes API server');

export const cacheConfig = keyAndCertificate(
  z.strictObject({
    url: serverUrl('http', 'https').describe(
      'http(s)://host:port of the cache registry: the read-write process for writers, the read-only one for readers',
    ),
    caFile: z.string().optional().describe('PEM of the CA of an https cache registry'),
    issuer: z.enum(['kuik-w', 'kuik-r']).optional().describe('Which key signs our tokens: writers or readers'),
    keyFile: z.string().optional().describe('PEM of the ES256 key that signs our tokens; absent: no authentication'),
    certificateFile: z.string().optional().describe("PEM of that key's certificate"),
    readersCertificateFile: z
      .string()
      .optional()
      .describe("PEM of the readers' certificate: by it a writer knows who may have what it reads from upstream"),
  }),
).describe('Cache registry');

const egressProxyShape = {
  ca: z.string().optional().describe('PEM of a private CA of an https proxy'),
  caFile: z.string().optional().describe('File with the PEM of a private CA of an https proxy'),
  credentialsFile: z.string().optional().describe('File with user:password for the proxy'),
};
const proxyUrl = serverUrl('http', 'https').describe('http(s)://host:port of the proxy, asked for a tunnel (CONNECT)');

/** One HTTP proxy; mirrors EgressProxy of the registry package. */
export const egressProxyConfig = z.strictObject({ url: proxyUrl, ...egressProxyShape });

/** Absent from file and variables of our own, HTTPS_PROXY and NO_PROXY of the environment count (the runtime reads them). */
export const httpProxyConfig = z
  .strictObject({
    url: proxyUrl.optional(),
    ...egressProxyShape,
    noProxy: z
      .array(z.string())
      .default([])
      .describe(
        'Reached without it: hosts with all below them, .below.only, addresses, CIDRs, each with or without a port',
      ),
  })
  .prefault({})
  .describe('HTTP proxy for registries that name none of their own');

const timeoutOf = duration({ minMs: 1 }).optional();

/** `registries.<host>`: how a registry is reached; mirrors RegistryEndpoint of the registry package. */
export const registryConfig = z.strictObject({
  address: z.string().optional().describe("host:port to connect to instead of the name's own address"),
  ca: z.string().optional().describe('PEM of a private CA'),
  caFile: z.string().optional().describe('File with the PEM of a private CA'),
  plainHTTP: z.boolean().optional().describe('Speak HTTP without TLS'),
  insecureSkipVerify: z.boolean().optional().describe('Do not verify the certificate'),
  allowPrivate: z.boolean().optional().describe('Allow addresses of private ranges'),
  trusted: z.array(z.string()).optional().describe("Other hosts that may see this registry's credentials"),
  apiHost: z
    .string()
    .optional()
    .describe("host[:port] whose API answers for this registry, by that host's certificate"),
  httpProxy: z
    .union([z.literal('none'), egressProxyConfig])
    .optional()
    .describe('A proxy of its own: url, ca, caFile, credentialsFile; or none'),
  timeouts: z
    .strictObject({ connect: timeoutOf, headers: timeoutOf, idle: timeoutOf })
    .optional()
    .describe('In place of upstreamTimeouts: connect, headers, idle'),
});
export const registriesConfig = z.record(z.string(), registryConfig).default({}).describe('Per registry host');

const cidr = z.union([z.cidrv4(), z.cidrv6(), z.ipv4(), z.ipv6()], {
  error: 'must be a CIDR or an address, as 10.0.0.0/8 or fd00::/8',
});

/** One policy for every process that connects to registries of others: a registry refused on nodes is refused to the copier too. */
export const addressPolicyConfig = z
  .strictObject({
    refuse: z.array(cidr).default([]).describe('CIDRs refused beyond the private ranges'),
    allow: z.array(cidr).default([]).describe('CIDRs allowed in spite of them'),
  })
  .prefault({})
  .describe('Addresses that upstream registries may not have');

const perSecond = z.number().positive().max(10_000).describe('How many may begin per second, in the long run');
const burst = z.number().int().min(1).max(100_000).describe('How many may begin at once after a quiet time');

const concurrency = z
  .number()
  .int()
  .min(1)
  .max(1_000)
  .optional()
  .describe('Copies under way at once, over all copiers; absent: no more than half of what each copier does at once');

const share = z.number().min(0).max(1);

/** How fast registries of others are asked; one bucket per host for everybody, so copier and monitor have to be told the same. */
export const paceConfig = z
  .strictObject({
    perSecond: perSecond.default(DEFAULTS.pace.perSecond),
    burst: burst.default(DEFAULTS.pace.burst),
    concurrency,
    hosts: z
      .record(z.string(), z.strictObject({ perSecond, burst, concurrency }))
      .default({})
      .describe('Of single registries; well-known ones have a pace of their own, see docs/quotas.md'),
    floor: z
      .strictObject({
        monitoring: share.default(DEFAULTS.pace.floor.monitoring).describe('Checks of upstream'),
        copies: share.default(DEFAULTS.pace.floor.copies).describe('Copies that nobody waits for: updates'),
      })
      .prefault({})
      .describe('When a registry says that less than this share of its quota is left, this work waits; 0: never'),
  })
  .prefault({})
  .describe('Copies and checks of one registry host');

const atLeast1ms = duration({ minMs: 1 });

export const upstreamTimeoutsConfig = z
  .strictObject({
    connect: atLeast1ms.default(DEFAULTS.upstreamTimeouts.connectMs).describe('To a connection, TLS included'),
    headers: atLeast1ms
      .default(DEFAULTS.upstreamTimeouts.headersMs)
      .describe('From a request to the head of its answer'),
    idle: atLeast1ms.default(DEFAULTS.upstreamTimeouts.idleMs).describe('Longest silence in a body'),
  })
  .prefault({})
  .describe('How long registries of others are waited for');

export const upstreamBreakerConfig = z
  .strictObject({
    failures: z.number().int().positive().default(DEFAULTS.upstreamBreaker.failures),
    open: atLeast1ms.default(DEFAULTS.upstreamBreaker.openMs),
  })
  .prefault({})
  .describe('A host of upstream that does not answer so many requests in a row is not asked for this long');

/** How a service proves itself to the broker. */
export const brokerClientConfig = z
  .strictObject({
    tokenFile: z
      .string()
      .optional()
      .describe('Projected ServiceAccount token with audience kuik-broker; read again for each request'),
    timeout: atLeast1ms.default(DEFAULTS.broker.timeoutMs).describe('How long its answer is waited for'),
  })
  .prefault({})
  .describe('Credential broker');

const grace = duration()
  .default(DEFAULTS.privateImages.graceMs)
  .describe('How much longer a verdict counts while whoever would renew it cannot be asked');
const unknownWhenDown = z
  .enum(['deny', 'allow'])
  .default(DEFAULTS.privateImages.unknownWhenDown)
  .describe('What becomes of a pull of which nothing is known while nobody can be asked');

/** Of the services that guard private images (docs/private-images.md). */
export const privateImagesMode = z
  .enum(['off', 'warn', 'enforce'])
  .default(DEFAULTS.privateImages.mode)
  .describe(
    'Private images are served to everybody (off), to everybody and told of (warn), or to whom upstream would serve them (enforce)',
  );
export const grantCheckerConfig = z
  .strictObject({
    mode: privateImagesMode,
    certificateFile: z.string().optional().describe('PEM of the certificate that pull grants are checked by'),
    grace,
    unknownWhenDown,
  })
  .prefault({})
  .describe('Who may pull private images');
export const grantSignerConfig = keyAndCertificate(
  z.strictObject({
    mode: privateImagesMode,
    keyFile: z.string().optional().describe('PEM of the ES256 key that signs pull grants; absent: none are made'),
    certificateFile: z.string().optional().describe("PEM of that key's certificate"),
    publicFor: atLeast1ms
      .default(DEFAULTS.privateImages.publicForMs)
      .describe('How long a repository that could be read anonymously counts as public'),
    verdictFor: atLeast1ms
      .default(DEFAULTS.privateImages.verdictForMs)
      .describe('How long what upstream said of a credential counts'),
    grace,
    unknownWhenDown,
    grantFor: duration({ minMs: 1000 })
      .default(DEFAULTS.privateImages.grantForMs)
      .describe('How long a pull grant is valid; it is renewed at half of that'),
    namespaces: z
      .record(z.string(), z.array(z.string().min(1)))
      .default({})
      .describe(
        "Repositories (or prefixes that end in *) that a namespace's pods may pull by your word, upstream unasked",
      ),
  }),
)
  .prefault({})
  .describe('Who may pull private images');

export const httpConfig = z
  .strictObject({
    host: z.string().default('0.0.0.0'),
    port: z.number().int().min(0).max(65535).default(8080).describe('Health, metrics and admin; 0 takes a free port'),
  })
  .prefault({})
  .describe('Health and metrics server');

export const leaseConfig = z
  .strictObject({
    namespace: z.string().default(DEFAULTS.namespace),
    identity: z.string().optional().describe("Name of this replica; absent: the host's name"),
    duration: atLeast1ms.default(DEFAULTS.lease.durationMs).describe('A leader silent for this long is replaced'),
    renew: atLeast1ms.default(DEFAULTS.lease.renewMs).describe('How often a leader says that it is there'),
  })
  .refine(({ duration, renew }) => renew < duration, {
    path: ['renew'],
    message: 'must be shorter than lease.duration, or every leader is replaced before it renews',
  })
  .prefault({})
  .describe('Leader election');

const LOCALHOST = 'localhost:';

export const proxyPrefixes = z
  .array(z.string().min(1))
  .min(1)
  .default([...DEFAULTS.proxyPrefixes])
  .transform(withLoopback)
  .describe('How images name the proxy; the first is written, all are read, and 127.0.0.1 where one says localhost');

/** A node's runtime reaches the same proxy by address: an image that a person wrote so is no other registry's. */
function withLoopback(prefixes: readonly string[]): string[] {
  const byAddress = prefixes
    .filter((prefix) => prefix.startsWith(LOCALHOST))
    .map((prefix) => `127.0.0.1:${prefix.slice(LOCALHOST.length)}`);
  return [...new Set([...prefixes, ...byAddress])];
}

/** Of the services that need `rules`; the schema of the file is `rulesFile` of the rules package. */
export const rulesFileSetting = z
  .string()
  .optional()
  .describe(
    'YAML file of the rules: which images of which pods go through the cache; followed. Absent: their defaults',
  );
