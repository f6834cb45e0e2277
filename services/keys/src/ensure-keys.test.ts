import { describe, expect, it } from '@jest/globals';
import { SERVICES } from '@kuik/contracts';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ensureKeys } from './ensure-keys.ts';
import { randomKeys as source } from './key-source.ts';
import { type KeySource, planKeys, secretOf, type SecretFiles } from './plan-keys.ts';
import { folderSecrets, type SecretStore } from './secret-store.ts';

/** The real source; the public half of a key takes long to compute, and is the same each time. */
const publics = new Map<string, string>();
const randomKeys: KeySource = {
  ...source,
  publicNkey: (seed) => {
    const known = publics.get(seed) ?? source.publicNkey(seed);
    publics.set(seed, known);
    return known;
  },
};

describe('planKeys', () => {
  const first = planKeys({}, randomKeys);

  it('gives every service its own keys and no more', () => {
    for (const service of SERVICES) expect(first[secretOf(service)]!['nkey']).toMatch(/^SU[A-Z0-9]{56}$/);
    expect(Object.keys(first[secretOf('webhook')]!)).toEqual(['nkey']);
    expect(Object.keys(first[secretOf('node-proxy')]!).sort()).toEqual([
      'grants.crt',
      'nkey',
      'registry.crt',
      'registry.key',
    ]);
    expect(first[secretOf('node-proxy')]!['grants.crt']).toBe(first[secretOf('pod-watcher')]!['grants.crt']);
    expect(first[secretOf('image-copier')]!['registry.key']).toBe(first[secretOf('gc')]!['registry.key']);
    expect(first[secretOf('node-proxy')]!['registry.key']).not.toBe(first[secretOf('gc')]!['registry.key']);
    expect(new Set(SERVICES.map((service) => first[secretOf(service)]!['nkey'])).size).toBe(SERVICES.length);
  });

  it("tells the parts what the services' keys are", () => {
    const conf = JSON.parse(first['kuik-nats']!['nats.conf']!) as { authorization: { users: { nkey: string }[] } };
    expect(conf.authorization.users.map((user) => user.nkey)).toEqual(
      SERVICES.map((service) => randomKeys.publicNkey(first[secretOf(service)]!['nkey']!)),
    );
    expect(first['kuik-nats']!['nats.conf']).not.toContain(first[secretOf('gc')]!['nkey']);
    expect(first['kuik-redis']!['users.acl']).toContain(
      `user kuik-monitor on >${first[secretOf('monitor')]!['redis-password']} ~kuik:*`,
    );
    expect(new X509Certificate(first['kuik-registry']!['writers.crt']!).subject).toContain('kuik-w');
  });

  it('never replaces a key', () => expect(planKeys(first, randomKeys)).toEqual(first));

  it.each([...SERVICES.map(secretOf), 'kuik-nats', 'kuik-redis', 'kuik-registry', 'kuik-grants'])(
    'makes %s again from what is left',
    (lost) => {
      const { [lost]: _gone, ...left } = first;
      const again = planKeys(left, randomKeys);
      for (const [name, files] of Object.entries(left)) {
        if (name === 'kuik-nats' || name === 'kuik-redis') continue;
        expect(again[name]).toEqual(files);
      }
      if (lost.startsWith('kuik-keys')) expect(again[lost]!['registry.key']).toBe(first[lost]!['registry.key']);
    },
  );

  it('gives an upgraded cluster its new permissions without new keys', () => {
    const old: SecretFiles = { ...first, 'kuik-nats': { 'nats.conf': '{}' } };
    expect(planKeys(old, randomKeys)['kuik-nats']).toEqual(first['kuik-nats']);
  });
});

describe('ensureKeys', () => {
  it('plans again when somebody else was faster', async () => {
    const theirs = planKeys({}, randomKeys);
    const held: SecretFiles = {};
    let raced = false;
    const store: SecretStore = {
      read: async () => structuredClone(held),
      write: async (name, files) => {
        if (!raced && name === secretOf('gc')) {
          raced = true;
          held[name] = theirs[name]!;
          return 'lost';
        }
        held[name] = files;
        return 'created';
      },
    };
    await ensureKeys(store, randomKeys);
    expect(held[secretOf('gc')]!['nkey']).toBe(theirs[secretOf('gc')]!['nkey']);
    expect(held[secretOf('gc')]!['registry.key']).toBe(held['kuik-registry']!['writers.key']);
    expect(held[secretOf('image-copier')]!['registry.key']).toBe(held['kuik-registry']!['writers.key']);
    expect(held['kuik-nats']!['nats.conf']).toContain(randomKeys.publicNkey(theirs[secretOf('gc')]!['nkey']!));
  });

  it('gives up when it never gets through', async () => {
    const store: SecretStore = { read: async () => ({}), write: async () => 'lost' };
    await expect(ensureKeys(store, randomKeys)).rejects.toThrow('run the job again');
  });

  it('writes files for a stack without cluster, the same ones twice', async () => {
    const folder = mkdtempSync(path.join(tmpdir(), 'kuik-keys-'));
    try {
      await ensureKeys(folderSecrets(folder), randomKeys);
      const seed = readFileSync(path.join(folder, 'kuik-keys-gc', 'nkey'), 'utf8');
      await ensureKeys(folderSecrets(folder), randomKeys);
      expect(readFileSync(path.join(folder, 'kuik-keys-gc', 'nkey'), 'utf8')).toBe(seed);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
