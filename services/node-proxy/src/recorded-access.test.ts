import { describe, expect, it } from '@jest/globals';
import { memoryBus, MemoryServer } from '@kuik/bus/memory';
import { ACCESS_RECORDS, type AccessRecord, accessRecordKey, ANYONE, CLUSTER } from '@kuik/contracts';
import { AccessVerdicts, BROKER_AWAY, BROKER_GRACE } from './access-verdicts.ts';
import { RecordedAccess, recordedVerdict, RECORDED_PROOF } from './recorded-access.ts';

const NOW = 1_000_000;
const GRACE = 1_000;
const REPOSITORY = { host: 'registry.example.test', path: 'team/app' };
const NAME = 'registry.example.test/team/app';
const WHO = { namespace: 'a', serviceAccount: 'default' };
const OWN = 'a/default';
const record = (of: string, times: Pick<AccessRecord, 'proven' | 'refused'>): AccessRecord => ({
  repository: NAME,
  of,
  ...times,
});
const NONE = { anyone: undefined, cluster: undefined, own: undefined };

describe('recordedVerdict', () => {
  it.each([
    ['nothing is recorded', NONE, undefined],
    ['it was confirmed', { ...NONE, own: record(OWN, { proven: NOW - 1 }) }, { public: false, until: NOW + GRACE - 1 }],
    ['its grace is over', { ...NONE, own: record(OWN, { proven: NOW - GRACE }) }, undefined],
    ['it was refused since', { ...NONE, own: record(OWN, { proven: NOW - 2, refused: NOW - 1 }) }, undefined],
    ['it was refused before', { ...NONE, own: record(OWN, { proven: NOW - 1, refused: NOW - 2 }) }, { public: false }],
    ['only a refusal is recorded', { ...NONE, own: record(OWN, { refused: NOW - 1 }) }, undefined],
    ['a credential counts for all', { ...NONE, cluster: record(CLUSTER, { proven: NOW }) }, { public: false }],
    [
      'anyone may',
      { anyone: record(ANYONE, { proven: NOW }), cluster: undefined, own: record(OWN, { refused: NOW }) },
      { public: true },
    ],
  ])('%s', (_what, rights, expected) => {
    const verdict = recordedVerdict(rights, GRACE, NOW);
    if (expected === undefined) expect(verdict).toBeUndefined();
    else expect(verdict).toMatchObject({ verdict: 'allowed', reason: RECORDED_PROOF, ...expected });
  });
});

describe('a proxy that began while the broker is away', () => {
  const world = async (...records: AccessRecord[]) => {
    const server = new MemoryServer();
    const bucket = memoryBus(server).bucket(ACCESS_RECORDS, { create: true });
    for (const one of records) await bucket.put(accessRecordKey(NAME, one.of), one);
    let now = NOW;
    const bus = memoryBus(server);
    const verdicts = new AccessVerdicts({
      bus,
      records: new RecordedAccess(bus.bucket(ACCESS_RECORDS)),
      readToken: () => Promise.resolve('token'),
      timeoutMs: 20,
      graceMs: GRACE * 1_000,
      now: () => now,
    });
    return { verdicts, later: (ms: number) => (now += ms) };
  };

  it('goes by what the broker wrote down of the one who asks, and of nobody else', async () => {
    const { verdicts } = await world(record(OWN, { proven: NOW - 1 }));
    expect(await verdicts.of(WHO, REPOSITORY, 'r')).toMatchObject({ verdict: 'allowed', reason: RECORDED_PROOF });
    const neighbour = { ...WHO, namespace: 'b' };
    for (const who of [neighbour, 'anyone'] as const)
      expect(await verdicts.of(who, REPOSITORY, 'r')).toMatchObject({ verdict: 'unknown', reason: BROKER_AWAY });
    const other = { ...REPOSITORY, path: 'team/other' };
    expect(await verdicts.of(WHO, other, 'r')).toMatchObject({ verdict: 'unknown' });
  });

  it('looks again every few seconds, until the grace is over', async () => {
    const { verdicts, later } = await world(record(OWN, { proven: NOW - 1 }));
    const first = await verdicts.of(WHO, REPOSITORY, 'r');
    expect(first.until).toBeLessThan(NOW + 10_000);
    later(first.until - NOW);
    expect(await verdicts.of(WHO, REPOSITORY, 'r')).toMatchObject({ verdict: 'allowed', reason: RECORDED_PROOF });
    later(GRACE * 1_000);
    expect(await verdicts.of(WHO, REPOSITORY, 'r')).toMatchObject({ verdict: 'unknown' });
    expect(BROKER_GRACE).not.toBe(RECORDED_PROOF);
  });
});
