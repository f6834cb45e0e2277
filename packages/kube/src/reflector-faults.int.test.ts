import { afterEach, describe, expect, it } from '@jest/globals';
import { until } from './testing/until.ts';
import { createKubeClient } from './client.ts';
import type { KubeClient, KubeObject, Reflector, ReflectorEvent, ReflectorOptions } from './port.ts';
import { createReflector } from './reflector.ts';
import { NODES } from './resources.ts';
import {
  answer,
  event,
  GONE,
  node,
  nodeList,
  scriptedServer,
  type Handler,
  type ScriptedServer,
} from './testing/scripted-server.ts';

/** A reflector of a server that does as told, and all that it said. */
interface Following {
  server: ScriptedServer;
  reflector: Reflector<string>;
  events: ReflectorEvent[];
  changes: string[];
}

const open: { server: ScriptedServer; client: KubeClient; reflector: Reflector<string> }[] = [];
afterEach(async () => {
  for (const { server, client, reflector } of open.splice(0)) {
    await reflector.stop();
    await client.close();
    await server[Symbol.asyncDispose]();
  }
});

async function follow(
  handler: Handler,
  options: Partial<ReflectorOptions<KubeObject, string>> = {},
): Promise<Following> {
  const server = await scriptedServer(handler);
  const client = createKubeClient({ kubeconfig: await server.kubeconfig() });
  const events: ReflectorEvent[] = [];
  const changes: string[] = [];
  const reflector = createReflector<KubeObject, string>({
    client,
    resource: NODES,
    project: ({ metadata }) => `${metadata.name}@${metadata.resourceVersion}`,
    observe: (each) => events.push(each),
    onChange: ({ old, now }) => changes.push(`${old ?? '-'} ${now ?? '-'}`),
    backoff: { firstMs: 10, maxMs: 160 },
    ...options,
  });
  open.push({ server, client, reflector });
  reflector.start();
  return { server, reflector, events, changes };
}

const isWatch: (request: { query: URLSearchParams }) => boolean = ({ query }) => query.has('watch');
const startedWatch = (response: Parameters<Handler>[1]): void => {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
};
const errorsOf = (events: readonly ReflectorEvent[]) => events.filter((each) => each.kind === 'error');

describe('a reflector of a server that misbehaves', () => {
  it('backs off from a server that closes every watch at once', async () => {
    const { server, events } = await follow((request, response) => {
      if (!isWatch(request)) return answer(response, nodeList('5', ['a']));
      startedWatch(response);
      response.end();
    });
    await until(() => server.watches.length >= 7, { what: 'seven watches' });
    const gaps = server.watches.slice(1, 7).map(({ at }, i) => at - server.watches[i]!.at);
    // Half of 10, 20, 40, 80, 160, 160 at the least.
    [5, 10, 20, 40, 80, 80].forEach((least, i) => expect(gaps[i]).toBeGreaterThanOrEqual(least - 1));
    expect(events.filter((each) => each.kind === 'watch').map(({ why }) => why)).toContain('closed');
    expect(errorsOf(events)).toEqual([]);
    // The fifth failure in a row is reason to doubt the version.
    expect(server.lists).toHaveLength(2);
  });

  it('backs off from one that sends one event and closes, but resumes from it', async () => {
    let version = 5;
    const { server, changes } = await follow((request, response) => {
      if (!isWatch(request)) return answer(response, nodeList('5', ['a']));
      startedWatch(response);
      response.end(event('MODIFIED', node('a', String(++version))));
    });
    await until(() => changes.length >= 4, { what: 'four changes' });
    expect(server.watches.slice(0, 3).map(({ query }) => query.get('resourceVersion'))).toEqual(['5', '6', '7']);
    for (const [i, { at }] of server.watches.slice(1, 4).entries()) {
      expect(at - server.watches[i]!.at).toBeGreaterThanOrEqual(4);
    }
    expect(server.lists).toHaveLength(1);
  });

  it.each(['before the head', 'after the head', 'in the middle of an event'])(
    'gives up a watch that falls silent %s, and lists again',
    async (where) => {
      const { server, reflector, events } = await follow(
        (request, response) => {
          if (!isWatch(request)) return answer(response, nodeList('5', ['a']));
          if (server.watches.length > 1) return startedWatch(response);
          if (where !== 'before the head') startedWatch(response);
          if (where === 'in the middle of an event') response.write(event('ADDED', node('b', '6')).slice(0, 20));
        },
        { idleTimeoutMs: 200 },
      );
      const listed = () => events.filter((each) => each.kind === 'list').length;
      await until(() => listed() === 2, { what: 'a second list' });
      expect(server.lists[1]!.at - server.watches[0]!.at).toBeGreaterThanOrEqual(190);
      expect(errorsOf(events)[0]).toMatchObject({ error: { code: 'timeout' }, failures: 1 });
      expect(events.findLast((each) => each.kind === 'list')).toMatchObject({ why: 'idle' });
      expect(reflector.synced()).toBe(true);
    },
  );

  it('is kept alive by bookmarks, and resumes from the last one', async () => {
    const { server, events } = await follow(
      (request, response) => {
        if (!isWatch(request)) return answer(response, nodeList('5', ['a']));
        startedWatch(response);
        if (server.watches.length > 1) return;
        for (let i = 1; i <= 6; i++) {
          const line = event('BOOKMARK', { kind: 'Node', metadata: { resourceVersion: String(10 * i) } });
          setTimeout(() => (i < 6 ? response.write(line) : response.end(line)), 100 * i);
        }
      },
      { idleTimeoutMs: 300 },
    );
    await until(() => server.watches.length === 2, { what: 'a second watch' });
    expect(server.watches.map(({ query }) => query.get('resourceVersion'))).toEqual(['5', '60']);
    expect(server.watches[0]!.query.get('allowWatchBookmarks')).toBe('true');
    expect(Number(server.watches[0]!.query.get('timeoutSeconds'))).toBeGreaterThanOrEqual(300);
    expect([server.lists.length, errorsOf(events)]).toEqual([1, []]);
  });

  it.each([
    [
      'an ERROR event',
      (response: Parameters<Handler>[1]) => {
        startedWatch(response);
        response.write(event('ERROR', GONE));
      },
    ],
    ['its answer', (response: Parameters<Handler>[1]) => answer(response, GONE, 410)],
  ] as const)('lists again when the version is gone by %s, and tells the difference', async (_, refuse) => {
    const { server, events, changes, reflector } = await follow((request, response) => {
      if (!isWatch(request))
        return answer(
          response,
          nodeList(server.lists.length === 1 ? '5' : '9', server.lists.length === 1 ? ['a', 'b'] : ['b', 'c']),
        );
      if (server.watches.length === 1) return refuse(response);
      startedWatch(response);
    });
    await until(() => server.watches.length === 2, { what: 'the watch after the second list' });
    expect(changes.slice(2)).toEqual(['b@5 b@9', '- c@9', 'a@5 -']);
    expect(events.filter((each) => each.kind === 'list')).toMatchObject([
      { why: 'start', repaired: 0 },
      { why: 'gone', repaired: 3 },
    ]);
    expect(server.watches[1]!.query.get('resourceVersion')).toBe('9');
    expect([...reflector.values()]).toEqual(['b@9', 'c@9']);
  });

  it.each([
    [
      'another ERROR event',
      event('ERROR', { kind: 'Status', code: 500, reason: 'InternalError', message: 'etcd is slow' }),
      'unavailable',
      1,
    ],
    ['an event that is not JSON', '{"type":"ADDED","obj\n', 'unexpected', 2],
    ['an unknown event', event('SURPRISE', {}), 'unexpected', 2],
    ['the end of the stream in the middle of an event', event('ADDED', node('b', '6')).slice(0, 30), 'unavailable', 1],
  ])('reports %s, and goes on', async (_, text, code, lists) => {
    const { server, events } = await follow((request, response) => {
      if (!isWatch(request)) return answer(response, nodeList('5', ['a']));
      startedWatch(response);
      if (server.watches.length === 1) response.end(text);
      else response.write(event('ADDED', node('late', '7')));
    });
    await until(() => server.watches.length === 2 && events.some((each) => each.kind === 'change'), {
      what: 'a change',
    });
    expect(errorsOf(events).map(({ error }) => (error as { code?: string }).code)).toEqual([code]);
    expect(server.lists).toHaveLength(lists);
  });

  it('reads events however their bytes are cut', async () => {
    const text = event('ADDED', node('b', '6', { city: 'Zürich 🏔' })) + event('ADDED', node('c', '7'));
    const { reflector } = await follow(
      (request, response) => {
        if (!isWatch(request)) return answer(response, nodeList('5', []));
        startedWatch(response);
        const bytes = Buffer.from(text);
        const send = (at: number): void => {
          if (at >= bytes.length) return;
          response.write(bytes.subarray(at, at + 3), () => setImmediate(send, at + 3));
        };
        send(0);
      },
      { project: ({ metadata }) => metadata.labels?.['city'] ?? '' },
    );
    await until(() => reflector.size() === 2, { what: 'two nodes' });
    expect(reflector.get({ name: 'b' })).toBe('Zürich 🏔');
  });

  it('lists in full when its time has come, also in the middle of a busy watch', async () => {
    const timers: NodeJS.Timeout[] = [];
    let resyncs = 0;
    const { server, events } = await follow(
      (request, response) => {
        if (!isWatch(request)) return answer(response, nodeList('5', ['a']));
        startedWatch(response);
        timers.push(setInterval(() => response.write(event('MODIFIED', node('a', '6'))), 20));
      },
      { resyncMs: 150, onResync: () => resyncs++ },
    );
    await until(() => server.lists.length === 3, { what: 'three lists' });
    timers.forEach(clearInterval);
    expect(
      events
        .filter((each) => each.kind === 'list')
        .map(({ why }) => why)
        .slice(0, 2),
    ).toEqual(['start', 'resync']);
    expect(server.lists[1]!.at - server.lists[0]!.at).toBeGreaterThanOrEqual(130);
    expect(errorsOf(events)).toEqual([]);
    expect(resyncs).toBeGreaterThanOrEqual(2);
  });

  it('lists from the beginning when the version is gone between two pages', async () => {
    const { server, events, reflector } = await follow(
      (request, response) => {
        if (isWatch(request)) return startedWatch(response);
        const first = server.lists.length === 1;
        if (request.query.has('continue'))
          return first || server.lists.length === 2
            ? answer(response, GONE, 410)
            : answer(response, nodeList('8', ['c']));
        answer(response, nodeList(server.lists.length < 3 ? '5' : '8', ['a', 'b'], 'next'));
      },
      { pageSize: 2 },
    );
    await until(() => reflector.synced(), { what: 'a list' });
    expect(server.lists.map(({ query }) => query.get('continue'))).toEqual([null, 'next', null, 'next']);
    expect(errorsOf(events)).toMatchObject([{ error: { code: 'gone' } }]);
    expect([...reflector.values()]).toEqual(['a@8', 'b@8', 'c@8']);
  });

  it('waits as long as the server asks', async () => {
    const { server, events } = await follow(
      (request, response) => {
        if (isWatch(request)) return startedWatch(response);
        if (server.lists.length > 1) return answer(response, nodeList('5', ['a']));
        answer(response, { kind: 'Status', reason: 'TooManyRequests', message: 'later' }, 429, { 'retry-after': '1' });
      },
      { backoff: { firstMs: 10, maxMs: 5_000 } },
    );
    await until(() => server.lists.length === 2, { what: 'a second list' });
    expect(server.lists[1]!.at - server.lists[0]!.at).toBeGreaterThanOrEqual(990);
    expect(errorsOf(events)).toMatchObject([{ error: { code: 'too-many-requests', retry: true }, nextInMs: 1000 }]);
  });

  it.each(['a list', 'a watch', 'a pause'])('stops in the middle of %s without a word', async (where) => {
    const { server, reflector, events } = await follow(
      (request, response) => {
        if (where === 'a list') return;
        if (where === 'a pause') return answer(response, { message: 'down' }, 503);
        if (!isWatch(request)) return answer(response, nodeList('5', ['a']));
        startedWatch(response);
      },
      { backoff: { firstMs: 60_000, maxMs: 60_000 } },
    );
    const there = {
      'a list': () => server.lists.length === 1,
      'a watch': () => server.watches.length === 1,
      'a pause': () => errorsOf(events).length === 1,
    };
    await until(there[where as keyof typeof there], { what: where });
    const before = errorsOf(events).length;
    const waiting = reflector.whenSynced(new AbortController().signal).catch((error: unknown) => error);
    await reflector.stop();
    expect(errorsOf(events)).toHaveLength(before);
    expect(await waiting).toEqual(where === 'a watch' ? undefined : expect.objectContaining({ code: 'aborted' }));
  });

  it('is not synced any more when the server has been away for too long', async () => {
    let away = false;
    const { reflector } = await follow(
      (request, response) => {
        if (away) return void response.destroy();
        if (!isWatch(request)) return answer(response, nodeList('5', ['a']));
        startedWatch(response);
        away = true;
        response.destroy();
      },
      { staleAfterMs: 500 },
    );
    await until(() => reflector.synced(), { what: 'the first list' });
    await until(() => !reflector.synced(), { what: 'staleness' });
    expect(reflector.contactAgeMs()).toBeGreaterThanOrEqual(500);
    away = false;
    await until(() => reflector.synced(), { what: 'contact' });
  });

  it('loses one object, not its loop, to a projection or a listener that throws', async () => {
    const { events, reflector } = await follow(
      (request, response) => {
        if (!isWatch(request)) return answer(response, nodeList('5', ['a', 'bad', 'c']));
        startedWatch(response);
      },
      {
        project: ({ metadata }) => {
          if (metadata.name === 'bad') throw new Error('no such thing');
          return metadata.name;
        },
        onChange: ({ name }) => {
          if (name.name === 'a') throw new Error('not interested');
        },
      },
    );
    await until(() => reflector.synced(), { what: 'the first list' });
    expect([...reflector.values()]).toEqual(['a', 'c']);
    expect(errorsOf(events).map(({ error }) => (error as Error).message)).toEqual(['not interested', 'no such thing']);
  });
});
