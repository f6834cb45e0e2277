import { getEventListeners } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { AbortWatch } from './abort-watch.ts';

describe('AbortWatch', () => {
  const watching = () => {
    const heard: AbortSignal[] = [];
    return { heard, watch: new AbortWatch((signal) => heard.push(signal)) };
  };

  it('listens once, however often it is told to, and not at all behind the end', () => {
    const { heard, watch } = watching();
    const gone = new AbortController();
    watch.watch(gone.signal);
    watch.watch(gone.signal);
    expect(getEventListeners(gone.signal, 'abort')).toHaveLength(1);
    watch.leave();
    expect(getEventListeners(gone.signal, 'abort')).toHaveLength(0);
    gone.abort();
    expect(heard).toEqual([]);
  });

  it('hears of the signal that it watches now', () => {
    const { heard, watch } = watching();
    const [first, second] = [new AbortController(), new AbortController()];
    watch.watch(first.signal);
    watch.watch(second.signal);
    first.abort();
    second.abort();
    expect(heard).toEqual([second.signal]);
  });

  it('hears at once of one that is aborted already, each time', () => {
    const { heard, watch } = watching();
    const signal = AbortSignal.abort();
    watch.watch(signal);
    watch.watch(undefined);
    watch.watch(signal);
    expect(heard).toEqual([signal, signal]);
  });
});
