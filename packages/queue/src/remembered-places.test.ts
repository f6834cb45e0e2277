import { describe, expect, it } from '@jest/globals';
import { RememberedPlaces } from './remembered-places.ts';

describe('RememberedPlaces', () => {
  it('keeps three for each blob, the one named last first, and each once', () => {
    const places = new RememberedPlaces(10);
    for (const place of ['a', 'b', 'c', 'a', 'd']) places.add('blob', place);
    expect(places.find('blob', [])).toEqual(['d', 'a', 'c']);
    expect(places.find('blob', ['a'])).toEqual(['d', 'c']);
    expect(places.find('other', [])).toEqual([]);
  });

  it('forgets the blob that was named longest ago when it is full', () => {
    const places = new RememberedPlaces(2);
    for (const blob of ['one', 'two', 'one', 'three']) places.add(blob, 'a');
    expect(['one', 'two', 'three'].map((blob) => places.find(blob, []))).toEqual([['a'], [], ['a']]);
  });
});
