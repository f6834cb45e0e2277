import { describe, expect, it } from '@jest/globals';
import { imageOf } from './fixtures.ts';
import { goneHosts } from './gone-hosts.ts';

const named = (sourceImage: string, deleting = false) => imageOf({ spec: { sourceImage }, deleting });

describe('goneHosts', () => {
  it.each([
    ['nothing known', [], [named('a.test/x:1')], []],
    ['all named', ['a.test', 'b.test:5000'], [named('a.test/x:1'), named('b.test:5000/y:1')], []],
    ['one not named', ['a.test', 'b.test'], [named('a.test/x:1')], ['b.test']],
    ['named by an image that is going', ['a.test'], [named('a.test/x:1', true)], []],
    ['another port is another host', ['a.test'], [named('a.test:5000/x:1')], ['a.test']],
    ['an alias is its registry', ['docker.io'], [named('nginx')], []],
    ['an image that is no reference names nothing', ['a.test'], [named('a.test/UPPER case')], ['a.test']],
    ['no images', ['a.test'], [], ['a.test']],
  ])('%s', (_, hosts, images, gone) => {
    expect([...goneHosts(hosts, images)]).toEqual(gone);
  });
});
