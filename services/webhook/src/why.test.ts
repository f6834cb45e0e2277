import { describe, expect, it } from '@jest/globals';
import { admit } from './admit.ts';
import { deciderOf, podOf, requestOf } from './fixtures.ts';
import { RecentDecisions } from './recent-decisions.ts';
import { answerWhy } from './why.ts';

const decider = deciderOf({ ignoreImages: ['^ignored\\.test/'], namespaces: { watched: { mode: 'observe' } } });
const AT = Date.parse('2026-11-01T12:00:00Z');

interface Sent {
  readonly uid: string;
  readonly metadata?: Record<string, unknown>;
  readonly spec?: Record<string, unknown>;
  readonly change?: Record<string, unknown>;
}

function remembering(sent: readonly Sent[], bytes?: number) {
  const recent = new RecentDecisions(bytes);
  sent.forEach(({ uid, metadata, spec, change }, index) =>
    recent.remember(admit(requestOf(podOf(spec, metadata), { uid, ...change }), decider), AT + index),
  );
  const ask = (query: Record<string, unknown>) => answerWhy(query, { recent, decider, ownNamespace: 'kuik-system' });
  const idsOf = (query: Record<string, unknown>) =>
    ((ask(query).body['admissions'] ?? []) as { requestId: string }[]).map(({ requestId }) => requestId);
  return { recent, ask, idsOf };
}
const SHOP = { namespace: 'default', pod: 'shop' };
const made = (generateName: string) => ({ name: undefined, generateName });

describe('GET /why of a pod', () => {
  it('tells which rule decided each container, when, by which request, and whether it was a dry run', () => {
    const containers = [
      { name: 'app', image: 'nginx:1' },
      { name: 'other', image: 'ignored.test/a' },
    ];
    const { ask } = remembering([{ uid: 'u1', spec: { containers }, change: { dryRun: true } }]);
    expect(ask(SHOP)).toEqual({
      status: 200,
      body: {
        ...SHOP,
        admissions: [
          {
            at: '2026-11-01T12:00:00.000Z',
            ...SHOP,
            requestId: 'u1',
            operation: 'CREATE',
            dryRun: true,
            images: [
              {
                key: 'c:app',
                asked: 'nginx:1',
                got: 'localhost:7439/docker.io/library/nginx:1',
                verdict: 'rewrite',
                reason: 'Rewritten',
                rule: 'default',
              },
              {
                key: 'c:other',
                asked: 'ignored.test/a',
                got: 'ignored.test/a',
                verdict: 'keep',
                reason: 'Ignored',
                rule: 'ignoreImages[0]',
              },
            ],
          },
        ],
      },
    });
  });

  it('tells the newest first', () => {
    expect(remembering([{ uid: 'u1' }, { uid: 'u2' }]).idsOf(SHOP)).toEqual(['u2', 'u1']);
  });

  it('finds a pod whose name was made by the API server, and tells how to tell it from its siblings', () => {
    const { ask, idsOf } = remembering([
      { uid: 'one', metadata: made('shop-7d9f-') },
      { uid: 'two', metadata: made('shop-7d9f-') },
      { uid: 'other', metadata: made('shop-') },
      { uid: 'elsewhere', metadata: made('shop-7d9f-'), change: { namespace: 'stage' } },
      { uid: 'debug', metadata: { name: 'shop-7d9f-x2b4q' } },
    ]);
    const query = { namespace: 'default', pod: 'shop-7d9f-x2b4q' };
    expect(idsOf(query)).toEqual(['debug', 'two', 'one']);
    expect(ask(query).body).toMatchObject({ commands: [expect.stringContaining('request-id') as unknown] });
    expect(idsOf({ request: 'one' })).toEqual(['one']);
  });

  it('finds a name that was cut before it was made longer', () => {
    const { idsOf } = remembering([{ uid: 'one', metadata: made('x'.repeat(70)) }]);
    expect(idsOf({ namespace: 'default', pod: `${'x'.repeat(58)}ab2cd` })).toEqual(['one']);
  });

  it('says where else to look for what it does not remember, with the line to run', () => {
    const answer = remembering([{ uid: 'u1' }]).ask({ namespace: 'default', pod: 'gone' });
    expect(answer.status).toBe(404);
    expect(JSON.stringify(answer.body)).toMatch(/holds 1, the oldest of 2026-11-01T12:00:00/);
    expect(answer.body['commands']).toEqual([
      "kubectl -n default get pod gone -o jsonpath='{.metadata.annotations.kuik\\.enix\\.io/decisions}'",
      'kubectl -n kuik-system get pods -l app.kubernetes.io/component=webhook',
    ]);
    expect(remembering([]).ask({ request: 'unknown' }).status).toBe(404);
  });

  it.each([
    [{}],
    [{ namespace: 'default' }],
    [{ pod: 'shop' }],
    [{ namespace: "x'; rm -rf", pod: 'shop' }],
    [{ namespace: 'default', pod: 'a b' }],
    [{ namespace: ['a', 'b'], pod: 'shop' }],
    [{ namespace: 'default', image: 'nginx', pullPolicy: 'Sometimes' }],
  ])('says how to ask when it does not understand: %j', (query) => {
    expect(remembering([{ uid: 'u1' }]).ask(query)).toMatchObject({
      status: 400,
      body: { usage: expect.anything() as unknown },
    });
  });
});

describe('GET /why of an image', () => {
  const { ask } = remembering([]);
  it.each([
    [{ namespace: 'default', image: 'nginx:1' }, 'Rewritten', 'default', 'localhost:7439/docker.io/library/nginx:1'],
    [{ namespace: 'watched', image: 'nginx:1' }, 'Observed', 'namespaces.watched.mode', 'nginx:1'],
    [{ namespace: 'default', image: 'ignored.test/a' }, 'Ignored', 'ignoreImages[0]', 'ignored.test/a'],
    [{ namespace: 'kube-system', image: 'nginx:1' }, 'NamespaceIgnored', 'ownNamespaces', 'nginx:1'],
    [{ namespace: 'default', image: 'nginx:1', pullPolicy: 'Never' }, 'PullPolicyNever', 'imagePullPolicy', 'nginx:1'],
  ])('decides it by the rules as they are: %j', (query, reason, rule, got) => {
    expect(ask(query)).toMatchObject({ status: 200, body: { asked: query.image, reason, rule, got } });
  });
});

describe('what is remembered', () => {
  it.each([1_700, 2_000, 3_333, 5_000])('is what fits into %i bytes, the newest, whatever their length', (bytes) => {
    const sent = Array.from({ length: 40 }, (_, index) => ({
      uid: `u${index}`,
      spec: { containers: [{ name: 'é'.repeat(index % 7), image: `nginx:${'1'.repeat(index)}` }] },
    }));
    const { recent, idsOf } = remembering(sent, bytes);
    const { admissions, since } = recent.extent;
    expect(admissions).toBeGreaterThan(bytes / 600);
    expect(admissions).toBeLessThan(bytes / 200);
    expect(since).toBe(AT + 40 - admissions);
    expect(idsOf(SHOP)).toEqual(
      sent
        .map(({ uid }) => uid)
        .reverse()
        .slice(0, admissions),
    );
  });

  it('is bounded in each of its parts, whatever was sent', () => {
    const containers = Array.from({ length: 300 }, (_, index) => ({ name: `c${index}`, image: 'x'.repeat(10_000) }));
    const { ask } = remembering([{ uid: 'u1', spec: { containers } }]);
    const text = JSON.stringify(ask(SHOP).body);
    expect(text.length).toBeLessThan(100_000);
    expect(text).toContain('"imagesLeftOut":236');
  });
});
