import { expect, it } from '@jest/globals';
import { pageOf } from './list-tags.ts';

it.each([
  ['', {}],
  ['n=5', { n: 5 }],
  ['n=5&last=v1', { n: 5, last: 'v1' }],
  ['n=1000000', { n: 1000 }],
  ['n=-1', {}],
  ['n=0', { n: 0 }],
  ['n=', {}],
  ['n=x&last=', {}],
  [`last=${'x'.repeat(2000)}`, {}],
  ['last=%3Fpage%3D2', { last: '?page=2' }],
])('the page of "%s"', (query, expected) => {
  expect(pageOf(query)).toEqual(expected);
});
