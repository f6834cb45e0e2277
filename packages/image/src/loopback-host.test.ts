import { describe, expect, it } from '@jest/globals';
import { isLoopbackHost } from './loopback-host.ts';
import { parseReference } from './reference.ts';

describe('isLoopbackHost', () => {
  it.each([
    ['localhost/app', true],
    ['localhost:5000/app', true],
    ['LocalHost:5000/app', true],
    ['registry.localhost:5000/app', true],
    ['127.0.0.1:5000/app', true],
    ['127.9.8.7/app', true],
    ['[::1]:5000/app', true],
    ['nginx', false],
    ['localhost.example.test/app', false],
    ['mylocalhost:5000/app', false],
    ['128.0.0.1:5000/app', false],
    ['127.0.0.1.example.test/app', false],
    ['[::2]:5000/app', false],
  ])('%s: %s', (image, expected) => {
    expect(isLoopbackHost(parseReference(image).host)).toBe(expected);
  });
});
