import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { addressPolicyConfig, cacheConfig, leaseConfig, natsConfig, redisConfig } from './config-parts.ts';
import { ERROR_CODES } from './error-codes.ts';
import { generatedDocuments } from './generated-documents.ts';
import { DECLARED_SERVICES } from './generated/services.ts';
import { METRICS } from './metrics.ts';
import { METRICS_V1 } from './metrics-v1.ts';
import { newSealingKey, openCredential, sealCredential } from './sealed-credential.ts';
import { structuralSchema } from './structural-schema.ts';
import { CORE_SUBJECTS, DURABLE_STREAMS, REQUEST_SUBJECTS } from './subjects.ts';
import { COPY_QUEUE } from './queues.ts';
import { unansweredRoles } from './who-says-what.ts';

const repeated = (values: string[]): string[] => values.filter((value, index) => values.indexOf(value) !== index);

describe('leaseConfig', () => {
  it.each([
    [{ duration: '5s' }, ['renew']],
    [{ duration: '1s', renew: '5s' }, ['renew']],
    [{ duration: '6s' }, undefined],
  ])('lets no leader renew later than it is replaced: %j', (written, path) => {
    expect(leaseConfig.safeParse(written).error?.issues[0]?.path).toEqual(path);
  });
});

describe('tables', () => {
  it('give every code, metric and subject once', () => {
    expect(repeated(Object.values(ERROR_CODES).map((error) => error.code))).toEqual([]);
    expect(repeated([...Object.values(METRICS), ...Object.values(METRICS_V1)].map(({ name }) => name))).toEqual([]);
    const subjects = [...CORE_SUBJECTS, ...REQUEST_SUBJECTS, ...DURABLE_STREAMS].map((entry) => entry.subject);
    expect(repeated([...subjects, ...DURABLE_STREAMS.map((stream) => stream.deadLetters)])).toEqual([]);
  });

  it('name metrics by the conventions of Prometheus', () => {
    for (const metric of Object.values(METRICS)) {
      expect(metric.name).toMatch(/^kuik_[a-z0-9_]+$/);
      expect(metric.name.endsWith('_total')).toBe(metric.type === 'counter');
    }
  });

  it('let somebody write and somebody read everything', () => {
    expect(unansweredRoles(DECLARED_SERVICES)).toEqual([]);
    for (const error of Object.values(ERROR_CODES)) expect([error.meaning, error.remedy]).not.toContain('');
  });

  it('give jobs ids that BullMQ takes', () => {
    const job = {
      name: 'n',
      uid: '0b2c-11',
      reference: 'docker.io/library/nginx:1',
      host: 'r:5000',
      reason: 'NotCached',
    };
    expect(COPY_QUEUE.dedupId(job)).not.toContain(':');
    expect(COPY_QUEUE.paceKey(job)).toBe('r:5000');
  });
});

describe('addressPolicyConfig', () => {
  it.each(['10.0.0.0/8', 'fd00::/8', '10.1.2.3', '::1', '0.0.0.0/0'])('takes %s', (entry) => {
    expect(addressPolicyConfig.parse({ refuse: [entry], allow: [entry] })).toEqual({ refuse: [entry], allow: [entry] });
  });

  it.each(['10.0.0.0/33', 'fd00::/129', 'registry.example.test', '10.0.0/8', '10.0.0.0/', ''])(
    'refuses "%s" before anything connects',
    (entry) => {
      expect(addressPolicyConfig.safeParse({ refuse: ['10.0.0.0/8', entry] }).error?.issues).toMatchObject([
        { path: ['refuse', 1], message: 'must be a CIDR or an address, as 10.0.0.0/8 or fd00::/8' },
      ]);
    },
  );
});

describe('structuralSchema', () => {
  it('drops what the API server refuses and keeps what it needs', () => {
    const schema = structuralSchema(
      z.strictObject({ n: z.int().min(0), at: z.iso.datetime(), list: z.array(z.object({ a: z.string() })) }),
      {
        list: { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['a'] },
      },
    );
    expect(schema).toEqual({
      type: 'object',
      required: ['n', 'at', 'list'],
      properties: {
        n: { type: 'integer', format: 'int64', minimum: 0 },
        at: { type: 'string', format: 'date-time' },
        list: {
          type: 'array',
          items: { type: 'object', properties: { a: { type: 'string' } }, required: ['a'] },
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['a'],
        },
      },
    });
  });

  it('refuses facts about a field that does not exist', () => {
    expect(() => structuralSchema(z.object({ a: z.string() }), { b: {} })).toThrow('no such schema path: b');
  });
});

describe('what is written from these tables', () => {
  const documents = generatedDocuments(DECLARED_SERVICES);

  it.each(documents.map(({ path, text }) => [path, text]))(
    '%s is up to date (node scripts/generate.ts)',
    (path, text) => expect(readFileSync(new URL(`../../../${path}`, import.meta.url), 'utf8')).toBe(text),
  );

  it('names each default, metric and error, values as a person writes them', () => {
    const text = (path: string): string => documents.find((document) => document.path === path)!.text;
    for (const { code } of Object.values(ERROR_CODES)) expect(text('docs/errors.md')).toContain(`| \`${code}\` |`);
    for (const { name } of Object.values(METRICS)) expect(text('docs/metrics.md')).toContain(`| \`${name}\` |`);
    expect(text('docs/defaults.md')).toContain('| `expiry.unused` | 30d |');
    expect(text('docs/defaults.md')).toContain('| `proxy.bufferMinBytes` | 64 KiB |');
    expect(text('docs/defaults.md')).toContain('| `proxy.stateTimeout` | 250ms |');
    expect(text('docs/defaults.md')).toContain('| `proxyPrefixes` | localhost:7439, 127.0.0.1:7439 |');
  });
});

describe('sealed credentials', () => {
  const credential = { kind: 'bearer', token: 's3cr3t-token', expiresAtMs: 1 } as const;

  it('open with the private key only', () => {
    const mine = newSealingKey();
    const sealed = sealCredential(credential, mine.publicKey);
    expect(sealed).not.toContain('s3cr3t');
    expect(openCredential(sealed, mine.privateKey)).toEqual(credential);
    expect(() => openCredential(sealed, newSealingKey().privateKey)).toThrow();
  });

  it('do not open when changed', () => {
    const mine = newSealingKey();
    const parts = sealCredential(credential, mine.publicKey).split('.');
    const text = Buffer.from(parts[3]!, 'base64');
    text[0] = text[0]! ^ 1;
    expect(() => openCredential([...parts.slice(0, 3), text.toString('base64')].join('.'), mine.privateKey)).toThrow();
    expect(() => openCredential('nonsense', mine.privateKey)).toThrow('not a sealed credential');
  });

  it('are different each time', () => {
    const { publicKey } = newSealingKey();
    expect(sealCredential(credential, publicKey)).not.toBe(sealCredential(credential, publicKey));
  });

  it.each(['', 'AAAA', 'not base64 at all'])('refuse the key %j', (key) =>
    expect(() => sealCredential(credential, key)).toThrow('X25519'),
  );
});

describe('shared configuration', () => {
  it.each<[string, z.ZodType, object, string | undefined]>([
    ['NATS', natsConfig, { url: 'nats://nats:4222' }, undefined],
    ['NATS without a scheme', natsConfig, { url: 'nats:4222' }, 'must be a URL that starts with nats:// or tls://'],
    [
      'NATS by address alone',
      natsConfig,
      { url: '127.0.0.1:4222' },
      'must be a URL that starts with nats:// or tls://',
    ],
    [
      'Redis by another scheme, whose password is not repeated',
      redisConfig,
      { url: 'http://u:hunter2@redis' },
      'must be a URL that starts with redis:// or rediss://',
    ],
    ['a cache by name', cacheConfig, { url: 'cache' }, 'must be a URL that starts with http:// or https://'],
    [
      'a key without its certificate',
      cacheConfig,
      { url: 'http://cache:5000', keyFile: '/key' },
      'keyFile and certificateFile go together',
    ],
  ])('%s', (_name, schema, settings, mistake) => {
    expect(schema.safeParse(settings).error?.issues.map(({ message }) => message)).toEqual(mistake && [mistake]);
  });
});
