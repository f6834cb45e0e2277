import { describe, expect, it } from '@jest/globals';
import { RegistryError } from './errors.ts';
import { foreignLayer } from './foreign-layer.ts';

const digest = `sha256:${'f'.repeat(64)}`;

describe('foreignLayer', () => {
  it.each([
    ['a file', 'file:///etc/passwd', 'untrusted-host'],
    ['plain HTTP', 'http://elsewhere.test/layer', 'untrusted-host'],
    ['a name and a password', 'https://me:secret@elsewhere.test/layer', 'untrusted-host'],
    ['no URL', 'layer', 'rejected'],
  ])('reads nothing from %s', async (_name, url, code) => {
    const source = foreignLayer({ mediaType: '', digest, size: 1, urls: [url] }, (at) => {
      const site = { base: new URL(at.origin === 'null' ? 'file:///' : at.origin), endpoint: {} };
      return { site } as never;
    });
    await expect(source.openBlob(digest)).rejects.toMatchObject({ name: 'RegistryError', code });
    await expect(source.openManifest('v1')).rejects.toBeInstanceOf(RegistryError);
    expect(await source.headBlob(digest)).toBeUndefined();
  });
});
