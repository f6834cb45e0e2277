import { afterEach, describe, expect, it } from '@jest/globals';
import { eventually } from './conformance/room.ts';
import { HintFollower } from './key-follower.ts';
import type { Hint } from './key-follower.ts';
import type { Entry } from './port.ts';

const open: HintFollower<string>[] = [];
afterEach(() => Promise.all(open.splice(0).map((follower) => follower.stop())));

/** A source whose reads, hints and reconnects the test decides. */
function bench(): {
  told: (string | undefined)[];
  follower: HintFollower<string>;
  store: { entry: Entry<string> | undefined; reads: number; running: number; most: number; fail: boolean };
  hint: (value: string | undefined) => void;
  reconnect: () => void;
} {
  const store = { entry: undefined as Entry<string> | undefined, reads: 0, running: 0, most: 0, fail: false };
  let onHint: (hint: Hint<string>) => void = () => undefined;
  let onConnected: () => void = () => undefined;
  const told: (string | undefined)[] = [];
  const stop = (): Promise<void> => Promise.resolve();
  const follower = new HintFollower<string>(
    {
      async read() {
        store.reads += 1;
        store.most = Math.max(store.most, ++store.running);
        await new Promise((resolve) => setTimeout(resolve, 2));
        store.running -= 1;
        if (store.fail) throw new Error('away');
        return store.entry;
      },
      watch(_, listener) {
        onHint = listener;
        return { stop };
      },
      onConnected(listener) {
        onConnected = listener;
        return { stop };
      },
    },
    (_, entry) => told.push(entry?.value),
  );
  open.push(follower);
  return { told, follower, store, hint: (value) => onHint({ value }), reconnect: () => onConnected() };
}

describe('HintFollower', () => {
  const entry = (value: string, revision: number): Entry<string> => ({ key: 'k', value, revision });

  it('reads until the write that was hinted at can be read', async () => {
    const { told, follower, store, hint } = bench();
    follower.add('k');
    await eventually(() => told.length === 1 || undefined);
    const before = store.reads;
    hint('new');
    await eventually(() => store.reads === before + 2 || undefined);
    store.entry = entry('new', 1);
    await eventually(() => told.includes('new') || undefined);
    await follower.stop();
  });

  it('gives up on a write that was refused', async () => {
    const { told, follower, store, hint } = bench();
    store.entry = entry('old', 1);
    follower.add('k');
    await eventually(() => told.length === 1 || undefined);
    hint('refused');
    await eventually(() => store.reads === 6 || undefined);
    hint('old');
    await eventually(() => store.reads >= 7 || undefined);
    await eventually(() => store.running === 0 || undefined);
    expect(store.reads).toBe(7);
    expect(told).toEqual(['old']);
    await follower.stop();
  });

  it('reads one at a time however many hints come', async () => {
    const { told, follower, store, hint } = bench();
    follower.add('k');
    store.entry = entry('last', 7);
    for (let n = 0; n < 50; n++) hint('last');
    await eventually(() => told.includes('last') || undefined);
    expect(store.most).toBe(1);
    expect(store.reads).toBeLessThan(4);
    await follower.stop();
  });

  it('reads again after a reconnect, and tells only what changed', async () => {
    const { told, follower, store, reconnect } = bench();
    store.entry = entry('a', 1);
    follower.add('k');
    await eventually(() => told.length === 1 || undefined);
    reconnect();
    await eventually(() => store.reads === 2 || undefined);
    // The same revision after a wipe is another value.
    store.entry = entry('b', 1);
    reconnect();
    await eventually(() => told.length === 2 || undefined);
    expect(told).toEqual(['a', 'b']);
    await follower.stop();
  });

  it('reads all keys again after a reconnect, a few at a time', async () => {
    const { told, follower, store, reconnect } = bench();
    for (let n = 0; n < 100; n++) follower.add(`k${n}`);
    await eventually(() => told.length === 100 || undefined);
    store.most = 0;
    reconnect();
    await eventually(() => store.reads === 200 || undefined);
    expect(store.most).toBe(16);
    await follower.stop();
  });

  it('tries again when a read fails, and never takes a failure for an absence', async () => {
    const { told, follower, store } = bench();
    store.fail = true;
    store.entry = entry('a', 1);
    follower.add('k');
    await eventually(() => store.reads >= 2 || undefined);
    expect(told).toEqual([]);
    store.fail = false;
    await eventually(() => told.length === 1 || undefined);
    expect(told).toEqual(['a']);
    await follower.stop();
  });

  it('is silent after remove and stop', async () => {
    const { told, follower, store } = bench();
    store.entry = entry('a', 1);
    follower.add('k');
    follower.remove('k');
    await eventually(() => store.running === 0 || undefined);
    expect(told).toEqual([]);
    await follower.stop();
    follower.add('k');
    expect(store.reads).toBe(1);
  });
});
