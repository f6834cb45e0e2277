import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startControlPlane, until, type OwnControlPlane } from '@kuik/testbed';
import { createKubeClient } from './client.ts';
import type { KubeClient, Reflector, ReflectorEvent } from './port.ts';
import { createReflector } from './reflector.ts';
import { NODES } from './resources.ts';

describe('a reflector of an API server that is killed', () => {
  let plane: OwnControlPlane;
  let client: KubeClient;
  let reflector: Reflector<string> | undefined;
  beforeAll(async () => {
    plane = await startControlPlane({ name: 'kube-restart' });
    client = createKubeClient({ kubeconfig: plane.kubeconfig });
  }, 60_000);
  afterAll(async () => {
    await reflector?.stop();
    await client?.close();
    await plane?.stop();
  });

  it('resumes by itself after SIGKILL and restart, and misses nothing', async () => {
    const events: ReflectorEvent[] = [];
    const gone: string[] = [];
    const following = (reflector = createReflector({
      client,
      resource: NODES,
      project: ({ metadata }) => metadata.labels?.['round'] ?? '',
      onChange: ({ name, now }) => now === undefined && gone.push(name.name),
      observe: (event) => events.push(event),
      backoff: { firstMs: 100, maxMs: 1_000 },
    }));
    following.start();
    await following.whenSynced(AbortSignal.timeout(10_000));
    const label = (round: string) =>
      client.apply(NODES, { name: 'node-1' }, { metadata: { labels: { round } } }, { fieldManager: 'test' });
    await label('before');
    await until(() => following.get({ name: 'node-1' }) === 'before', { what: 'the first label' });

    await plane.apiserver.kill('SIGKILL');
    await until(() => events.some((event) => event.kind === 'error'), { what: 'an observed error' });
    expect(following.get({ name: 'node-1' })).toBe('before');
    await plane.apiserver.restart();
    await label('after');
    await until(() => following.get({ name: 'node-1' }) === 'after', { what: 'the second label', timeoutMs: 10_000 });

    expect(following.synced()).toBe(true);
    expect(gone).toEqual([]);
    const errors = events.filter((event) => event.kind === 'error');
    const codes = new Set(errors.map(({ error }) => (error as { code: string }).code));
    expect(codes).toContain('unavailable');
    // A server that starts may also have forgotten our version, or be too busy for a while.
    codes.forEach((code) => expect(['unavailable', 'gone', 'too-many-requests', 'timeout']).toContain(code));
    await following.stop();
    expect(events.filter((event) => event.kind === 'error')).toHaveLength(errors.length);
  });
});
