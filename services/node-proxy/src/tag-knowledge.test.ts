import { describe, expect, it, jest } from '@jest/globals';
import type { Bus, BusStatus } from '@kuik/bus';
import type { ImageState } from '@kuik/contracts';
import { stateKey } from '@kuik/image';
import { TagKnowledge } from './tag-knowledge.ts';

const reference = (tag: string) => ({ host: 'registry.example.test', path: 'app', tag });
const state = (tag: string): ImageState => ({
  reference: `registry.example.test/app:${tag}`,
  uid: 'u',
  resourceVersion: '1',
  digest: `sha256:${'d'.repeat(64)}`,
});

const TIMEOUT_MS = 20;

/** A bucket whose reads the test answers, and a connection that the test cuts. */
function world(options: { status?: BusStatus; followed?: number } = {}) {
  const clock = { now: 0 };
  const followed = new Set<string>();
  let status: BusStatus = options.status ?? 'connected';
  let tell: (key: string, entry: { key: string; value: ImageState; revision: number } | undefined) => void;
  let onStatus: (status: BusStatus) => void = () => undefined;
  const bus = {
    status: () => status,
    onStatus: (listener: typeof onStatus) => {
      onStatus = listener;
      return { stop: () => Promise.resolve() };
    },
    bucket: () => ({
      follow: (listener: typeof tell) => {
        tell = listener;
        return {
          add: (key: string) => void followed.add(key),
          remove: (key: string) => void followed.delete(key),
          stop: () => Promise.resolve(),
        };
      },
    }),
  } as unknown as Pick<Bus, 'bucket' | 'status' | 'onStatus'>;
  const tags = new TagKnowledge({
    bus,
    timeoutMs: TIMEOUT_MS,
    spareMs: 5000,
    followed: options.followed ?? 100,
    now: () => clock.now,
  });
  return {
    clock,
    followed,
    tags,
    answer: (tag: string, value?: ImageState) => {
      const key = stateKey(reference(tag));
      tell(key, value && { key, value, revision: 1 });
    },
    connection: (next: BusStatus) => {
      status = next;
      onStatus(next);
    },
  };
}

describe('TagKnowledge', () => {
  it('waits for the first answer, and has it at hand from then on', async () => {
    const { tags, answer, clock } = world();
    const first = tags.of(reference('1'));
    answer('1', state('1'));
    expect(await first).toEqual({ state: state('1'), confirmedAtMs: 0 });
    clock.now = 1000;
    expect(await tags.of(reference('1'))).toEqual({ state: state('1'), confirmedAtMs: 1000 });
    answer('1');
    expect(await tags.of(reference('1'))).toEqual({ confirmedAtMs: 1000 });
  });

  it('tells an image that is not kept from one that nobody could tell of', async () => {
    const { tags, answer } = world();
    const none = tags.of(reference('none'));
    answer('none');
    expect(await none).toEqual({ confirmedAtMs: 0 });
    expect(await tags.of(reference('silent'))).toEqual({});
  });

  it('waits once for a silent bucket, then not for a while', async () => {
    const { tags, clock } = world();
    expect(await tags.of(reference('a'))).toEqual({});
    const waits = async (tag: string): Promise<boolean> => {
      const timers = jest.spyOn(globalThis, 'setTimeout');
      await tags.of(reference(tag));
      const waited = timers.mock.calls.some(([, ms]) => ms === TIMEOUT_MS);
      timers.mockRestore();
      return waited;
    };
    expect(await waits('b')).toBe(false);
    clock.now = 5001;
    expect(await waits('c')).toBe(true);
  });

  it('does not wait while NATS is away, and says since when what it knows was true', async () => {
    const { tags, answer, clock, connection } = world();
    const first = tags.of(reference('1'));
    answer('1', state('1'));
    await first;
    clock.now = 7000;
    connection('reconnecting');
    clock.now = 60_000;
    expect(await tags.of(reference('1'))).toEqual({ state: state('1'), confirmedAtMs: 7000 });
    expect(await tags.of(reference('2'))).toEqual({});
    connection('connected');
    expect(await tags.of(reference('1'))).toEqual({ state: state('1'), confirmedAtMs: 60_000 });
  });

  it('waits for the first connection too, for a moment after the start', async () => {
    const { tags, answer, connection } = world({ status: 'reconnecting' });
    const first = tags.of(reference('1'));
    connection('connected');
    answer('1', state('1'));
    expect(await first).toEqual({ state: state('1'), confirmedAtMs: 0 });
  });

  it('follows no more tags than it may', async () => {
    const { tags, followed, answer } = world({ followed: 2 });
    for (const tag of ['1', '2', '3']) {
      const asked = tags.of(reference(tag));
      answer(tag, state(tag));
      await asked;
    }
    expect(followed).toEqual(new Set([stateKey(reference('2')), stateKey(reference('3'))]));
  });

  it('does not believe the state of another reference under its key', async () => {
    const { tags, answer } = world();
    const asked = tags.of(reference('1'));
    answer('1', state('other'));
    expect(await asked).toEqual({ confirmedAtMs: 0 });
  });
});
