import { namespaceOf, type Need, type ServiceDeclaration } from '@kuik/contracts';
import type { ServiceIdentity } from '@kuik/testbed';

/**
 * What the settings of every service are made of, beside who it is. A declaration names these: `${proxyPort}`; and of the replica itself its name,
 * `${replica}`, and a folder of its service, `${folder}`.
 */
export interface StackFacts {
  readonly registries: Readonly<Record<string, object>>;
  /** `localhost:<port>`: the proxy, as images name it. */
  readonly proxyPrefix: string;
  readonly proxyPort: number;
  readonly admissionPort: number;
  /** The rules of this stack. */
  readonly rulesFile: string;
}

/** Shorter than a cluster's, so that a story about dying leaders is not a story about waiting. */
const LEASE = { namespace: namespaceOf({ runs: 'replicated' }), duration: '4s', renew: '1s' };

/** Needs whose setting has another name. */
const SETTING: Partial<Record<Need, string>> = { rules: 'rulesFile' };

/** The configuration file of one replica of a service, as data; written as YAML and named in KUIK_CONFIG. */
export function settingsOf(
  { needs, local }: Pick<ServiceDeclaration, 'needs' | 'local'>,
  identity: Omit<ServiceIdentity, 'service'>,
  replica: string,
  httpPort: number,
  facts: StackFacts,
): Record<string, unknown> {
  const { nats, redis, cache, grants, kubeconfig, brokerTokenFile } = identity;
  const sections: Record<Need, unknown> = {
    kube: { kubeconfig },
    lease: { ...LEASE, identity: replica },
    redis,
    broker: { tokenFile: brokerTokenFile },
    registries: facts.registries,
    proxyPrefixes: [facts.proxyPrefix],
    rules: facts.rulesFile,
  };
  return {
    http: { host: '127.0.0.1', port: httpPort },
    nats,
    ...Object.fromEntries(needs.map((need) => [SETTING[need] ?? need, sections[need]])),
    ...(cache === undefined ? {} : { cache }),
    ...(grants === undefined ? {} : { privateImages: grants }),
    ...(filled(local.settings, { ...facts, replica, folder: identity.folder }) as Record<string, unknown>),
  };
}

/**
 * The value with `${name}` replaced by the fact of that name, wherever a string holds it; a string that is nothing else becomes the fact
 * itself (a port stays a number). Throws when there is no such fact.
 */
export function filled(value: unknown, facts: Readonly<Record<string, unknown>>): unknown {
  if (Array.isArray(value)) return value.map((item) => filled(item, facts));
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, filled(item, facts)]));
  if (typeof value !== 'string') return value;
  const fact = (name: string): unknown => {
    if (!Object.hasOwn(facts, name))
      throw new Error(`\${${name}} is not known in the local stack; there are ${Object.keys(facts).join(', ')}`);
    return facts[name];
  };
  const whole = /^\$\{(\w+)\}$/.exec(value);
  if (whole) return fact(whole[1]!);
  return value.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => String(fact(name)));
}
