import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ServingCertificate } from './admission-server.ts';
import { CertificateFiles } from './certificate-files.ts';

let folder: string;
let used: ServingCertificate[];
let refuses: boolean;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'kuik-certificate-'));
  used = [];
  refuses = false;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const put = (certificate: string, key: string) =>
  Promise.all([
    writeFile(path.join(folder, 'tls.crt'), certificate),
    writeFile(path.join(folder, 'tls.key'), key, { mode: 0o600 }),
  ]);
const filesOf = () =>
  new CertificateFiles({
    certificateFile: path.join(folder, 'tls.crt'),
    keyFile: path.join(folder, 'tls.key'),
    checkMs: 60_000,
    use(certificate) {
      if (refuses) throw new Error('key values mismatch');
      used.push(certificate);
    },
    onRound: () => undefined,
  });

describe('CertificateFiles', () => {
  it('takes both files over when they have changed, and only then', async () => {
    const files = filesOf();
    for (const version of ['1', '1', '2']) {
      await put(`certificate ${version}`, `key ${version}`);
      await files.round();
    }
    expect(used).toEqual(['1', '2'].map((of) => ({ certificate: `certificate ${of}`, key: `key ${of}` })));
  });

  it('tries again what did not fit together, read while somebody was writing it', async () => {
    await put('certificate', 'key');
    const files = filesOf();
    refuses = true;
    await expect(files.round()).rejects.toThrow('mismatch');
    refuses = false;
    await files.round();
    expect(used).toHaveLength(1);
  });

  it('serves from its start on, and does not start without files', async () => {
    const files = filesOf();
    const { signal } = new AbortController();
    await expect(files.start(signal)).rejects.toThrow('ENOENT');
    await put('certificate', 'key');
    await files.start(signal);
    expect(used).toHaveLength(1);
    await files.close();
  });
});
