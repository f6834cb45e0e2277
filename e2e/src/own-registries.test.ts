import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readOwnRegistries } from './own-registries.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'kuik-registries-'));
  writeFileSync(path.join(folder, 'ca.pem'), 'a certificate');
});
afterAll(() => rmSync(folder, { recursive: true }));

const read = (text: string) => {
  const file = path.join(folder, 'registries.yaml');
  writeFileSync(file, text);
  return readOwnRegistries(file);
};

describe('readOwnRegistries', () => {
  it('gives each host its settings, with the CA read from beside the file', () => {
    expect(
      read(`
r.example.test: { address: "127.0.0.1:5000", plainHTTP: true }
private.example.test:5001: { address: "127.0.0.1:5001", caFile: ca.pem }
`),
    ).toEqual({
      'r.example.test': { address: '127.0.0.1:5000', plainHTTP: true },
      'private.example.test:5001': { address: '127.0.0.1:5001', ca: 'a certificate' },
    });
  });

  it.each([
    ['- a list', 'must be a map of registry hosts, such as registry.example.test'],
    ['', 'must be a map of registry hosts'],
    ['a: [', 'registries.yaml: '],
    ['r.example.test: { plainHttp: true }', 'r.example.test: Unrecognized key: "plainHttp"'],
    ['r.example.test: 127.0.0.1:5000', 'r.example.test: Invalid input'],
    ['localhost:5000: { plainHTTP: true }', 'localhost:5000: images on loopback are left as they are'],
    ['127.0.0.1:5000: { plainHTTP: true }', 'give the registry a name'],
    ['http://r.example.test: {}', 'not the name of a registry host'],
    ['r.example.test: { caFile: nothing.pem }', 'r.example.test: caFile: cannot read'],
  ])('refuses %j and says why', (text, message) => {
    expect(() => read(text)).toThrow(message);
  });

  it('tells every mistake at once', () => {
    expect(() => read('localhost: {}\nr.example.test: { x: 1 }')).toThrow(/localhost: .*\n.*r\.example\.test: /);
  });

  it('says that there is no such file', () => {
    expect(() => readOwnRegistries(path.join(folder, 'nowhere.yaml'))).toThrow(/cannot read .*nowhere.yaml \(ENOENT\)/);
  });
});
