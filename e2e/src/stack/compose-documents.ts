import { namespaceOf, type GeneratedDocument, type ServiceDeclaration } from '@kuik/contracts';
import { stringify } from 'yaml';

type Declarations = ReadonlyMap<string, ServiceDeclaration>;

export const COMPOSE_SETTINGS = 'deploy/compose/settings';
const KEYS = '/etc/kuik/keys';
const KUBE = '/etc/kuik/kube';
const RULES = '/etc/kuik/rules';

/** Settings of each service in docker compose, and who they are on its API server. */
export function composeDocuments(declarations: Declarations): GeneratedDocument[] {
  const accounts = [...declarations].map(([service, declaration]) => ({
    service,
    namespace: namespaceOf(declaration),
  }));
  return [
    { path: 'deploy/compose/accounts.json', text: `${JSON.stringify(accounts, undefined, 2)}\n` },
    ...[...declarations].map(([service, declaration]) => ({
      path: `${COMPOSE_SETTINGS}/${service}.yaml`,
      text: [
        `# Written by \`node scripts/generate.ts\` from services/${service}/service.yaml; change it there.`,
        stringify(settings(service, declaration)),
      ].join('\n'),
    })),
  ];
}

/** The entries of services in docker-compose.yaml; `*service` is the file's own. */
export function composeEntries(declarations: Declarations): string {
  return `\n${[...declarations].map(([service, declared]) => entry(service, declared)).join('\n')}`;
}

function settings(service: string, { needs, cache, grants, compose }: ServiceDeclaration): Record<string, unknown> {
  const sections: Record<string, unknown> = {
    redis: { url: 'redis://redis:6379', username: `kuik-${service}`, passwordFile: `${KEYS}/redis-password` },
    kube: { kubeconfig: `${KUBE}/kubeconfig` },
    broker: { tokenFile: `${KUBE}/token` },
    registries: { 'registry.example.test': { address: 'upstream:5000', plainHTTP: true, allowPrivate: true } },
  };
  return {
    nats: { url: 'nats://nats:4222', nkeyFile: `${KEYS}/nkey` },
    ...Object.fromEntries(
      Object.entries(sections).filter(([section]) => (needs as readonly string[]).includes(section)),
    ),
    ...(needs.includes('rules') ? { rulesFile: `${RULES}/rules.yaml` } : {}),
    ...(cache === undefined ? {} : { cache: cacheOf(cache) }),
    ...(grants === undefined ? {} : { privateImages: grantsOf(grants) }),
    ...compose.settings,
  };
}

function grantsOf(part: 'signer' | 'checker'): Record<string, string> {
  return {
    certificateFile: `${KEYS}/grants.crt`,
    ...(part === 'signer' ? { keyFile: `${KEYS}/grants.key` } : {}),
  };
}

function cacheOf(side: 'writer' | 'reader'): Record<string, string> {
  return {
    url: `http://cache-${side}:5000`,
    keyFile: `${KEYS}/registry.key`,
    certificateFile: `${KEYS}/registry.crt`,
    ...(side === 'writer' ? { readersCertificateFile: `${KEYS}/readers.crt` } : {}),
  };
}

function entry(service: string, { needs, env, compose }: ServiceDeclaration): string {
  const mounts = [
    mount('keys', KEYS, `kuik-keys-${service}`),
    ...(needs.includes('kube') || needs.includes('broker') ? [mount('cluster', KUBE, service)] : []),
    ...(needs.includes('kube') ? [mount('cluster', '/etc/kuik/api', 'certificates')] : []),
  ];
  return [
    `  ${service}:`,
    '    <<: *service',
    `    command: [${service}]`,
    '    environment:',
    `      KUIK_CONFIG: /etc/kuik/settings/${service}.yaml`,
    ...Object.entries(env).map(([name, value]) => `      ${name}: '${value.replaceAll("'", "''")}'`),
    ...(compose.ports.length === 0
      ? []
      : [`    ports: [${compose.ports.map((port) => `'127.0.0.1:${port}:${port}'`).join(', ')}]`]),
    '    volumes:',
    '      - ./deploy/compose/settings:/etc/kuik/settings:ro',
    ...(needs.includes('rules') ? [`      - ./deploy/compose/rules:${RULES}:ro`] : []),
    ...mounts.flat(),
    '',
  ].join('\n');
}

function mount(source: string, target: string, subpath: string): string[] {
  return [
    '      - type: volume',
    `        source: ${source}`,
    `        target: ${target}`,
    '        read_only: true',
    `        volume: { subpath: ${subpath} }`,
  ];
}
