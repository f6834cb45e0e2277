import { describe, expect, it } from '@jest/globals';
import { REDIS_SERVICES, redisUsers, type RedisService } from './redis-users.ts';
import { parseDeclaration, type DeclaredService } from './service-declaration.ts';
import { credentialRequesters, declaredService, leaseName, namespaceOf, needs, SERVICES } from './services.ts';
import { unansweredRoles, whoSaysWhat } from './who-says-what.ts';

const declared = (yaml: string): DeclaredService => parseDeclaration(yaml)!;

describe('a declaration', () => {
  it('needs nothing but how the service runs', () => {
    const { needs: sections, cache, nats, queues, local, compose, env } = parseDeclaration('runs: replicated')!;
    expect([sections, cache, env]).toEqual([[], undefined, {}]);
    expect([...Object.values(nats), ...Object.values(queues)].flat()).toEqual([]);
    expect(local).toEqual({ replicas: 1, settings: {} });
    expect(compose).toEqual({ ports: [], settings: {} });
  });

  it.each([
    ['a user on Redis', 'queues: { works: [copy] }', ['redis']],
    ['a user on Redis for who adds jobs', 'queues: { produces: [copy] }', ['redis']],
    ['a token for the broker', 'nats: { requests: [kuik.credentials.request] }', ['broker']],
    ['nothing twice', 'needs: [redis, kube]\nqueues: { works: [copy] }', ['kube', 'redis']],
    ['nothing', 'nats: { requests: [kuik.holders.confirm] }', []],
  ])('implies %s', (_what, yaml, sections) => expect(declared(`runs: replicated\n${yaml}`).needs).toEqual(sections));

  it('makes an owner a writer', () =>
    expect(declared('runs: replicated\nnats: { owns: [kuik_image_state] }').nats.writes).toEqual(['kuik_image_state']));

  it('of a job says no more than that', () => {
    expect(parseDeclaration('runs: once')).toBeUndefined();
    expect(() => parseDeclaration('runs: once\nneeds: [redis]')).toThrow('needs');
  });

  it('names every mistake and where it is', () => {
    const mistakes = 'runs: replicated\nneeds: [mail]\nnats: { publishes: [kuik.image.usde] }\nlocal: { replica: 2 }';
    for (const part of ['needs.0: ', 'nats.publishes.0: ', '"kuik.image.used"', 'local: ', '"replica"'])
      expect(() => parseDeclaration(mistakes)).toThrow(part);
    expect(() => parseDeclaration('runs: sometimes')).toThrow('runs: ');
  });
});

describe('all declarations together', () => {
  // Whoever joins later may be at any end as well: what is missing without one of these is asked of these alone.
  const known = ['gc', 'image-copier', 'monitor', 'node-proxy', 'pod-watcher', 'webhook'] as const;
  const said = Object.fromEntries(known.map((service) => [service, declaredService(service)]));
  const without = (left: string): Record<string, DeclaredService> =>
    Object.fromEntries(Object.entries(said).filter(([service]) => service !== left));

  it('leave nobody unheard', () => expect(unansweredRoles(said)).toEqual([]));

  it.each([
    ['webhook', ['kuik.image.used: no service is at its sending end']],
    ['gc', ['kuik.holders.confirm: no service is at its sending end']],
    [
      'image-copier',
      [
        'kuik.transfer.owners: no service is at its sending end',
        'kuik.manifests.read: no service is at its receiving end',
        'copy: no service is at its receiving end',
      ],
    ],
  ])('miss %s', (service, missing) => expect(unansweredRoles(without(service))).toEqual(missing));

  it('give a bucket one owner', () => {
    const rival = declared('runs: replicated\nnats: { owns: [kuik_image_state] }');
    const mistake = 'kuik_image_state: one service must own it, not pod-watcher and rival';
    expect(unansweredRoles({ ...said, rival })).toEqual([mistake]);
    expect(unansweredRoles(without('pod-watcher'))).toContain('kuik_image_state: one service must own it, not none');
  });

  it('tell who is at which end', () => {
    const ends = whoSaysWhat({ a: declared('runs: replicated\nnats: { publishes: [kuik.image.served] }') });
    expect(ends.filter(({ from, to }) => from.length + to.length > 0)).toEqual([
      { name: 'kuik.image.served', kind: 'durable', from: ['a'], to: [], owners: [] },
    ]);
  });
});

describe('what follows', () => {
  it('puts services on each node, and them alone, where the host’s network is allowed', () => {
    expect(namespaceOf(declaredService('node-proxy'), 'images')).toBe('images-proxy');
    expect(namespaceOf(declaredService('gc'))).toBe('kuik-system');
  });

  it('lets a service on a node ask for credentials of that node alone', () => {
    const { onEachNode, anywhere } = credentialRequesters();
    expect(onEachNode).toContain('node-proxy');
    expect(anywhere).toEqual(expect.arrayContaining(['image-copier', 'monitor']));
    expect(anywhere).not.toContain('node-proxy');
    for (const service of ['image-copier', 'monitor'] as const) expect(onEachNode).not.toContain(service);
    for (const service of ['gc', 'webhook', 'pod-watcher'] as const)
      expect([...onEachNode, ...anywhere]).not.toContain(service);
  });

  it('names Leases', () => expect(leaseName('gc')).toBe('kuik-gc'));

  it('gives Redis one user per service that uses it, limited to our keys, and no other', () => {
    const passwords = Object.fromEntries(REDIS_SERVICES.map((service) => [service, `pw-${service}`]));
    const lines = redisUsers(passwords as Record<RedisService, string>);
    expect(lines[0]).toBe('user default off');
    expect(lines).toHaveLength(1 + SERVICES.filter((service) => needs(service, 'redis')).length);
    expect(lines).toContain('user kuik-monitor on >pw-monitor ~kuik:* &kuik:* +@all -@dangerous -@admin +info');
    expect(lines.join()).not.toContain('kuik-gc');
  });
});
