import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readRequest } from './start.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kuik-start-'));
  writeFileSync(path.join(folder, 'good.yaml'), 'r.example.test: { address: "127.0.0.1:5000", plainHTTP: true }');
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('readRequest', () => {
  it('has the built-in upstream and stays up unless told otherwise', () => {
    expect(readRequest([])).toEqual({
      once: false,
      upstream: 'builtin',
      node: false,
      registries: undefined,
      broken: undefined,
    });
    expect(readRequest(['--node'])).toMatchObject({ node: true });
    expect(readRequest(['--once', '--break', 'a:b'])).toMatchObject({ once: true, broken: 'a:b' });
  });

  it("reads a person's own registries", () => {
    const { registries } = readRequest(['--upstream', 'none', '--registries', path.join(folder, 'good.yaml')]);
    expect(registries).toEqual({ 'r.example.test': { address: '127.0.0.1:5000', plainHTTP: true } });
  });

  it.each([
    [['--upstream', 'nowhere'], 'must be builtin or none'],
    [['--registries', 'x.yaml'], 'goes with --upstream none'],
    [['--what'], "'--what'; known are --once,"],
    [['--help'], '--registries FILE'],
    [['once'], "Unexpected argument 'once'; known are --once,"],
  ])('refuses %j', (args, message) => {
    expect(() => readRequest(args)).toThrow(message);
  });
});
