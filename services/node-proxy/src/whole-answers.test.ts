import { describe, expect, it } from '@jest/globals';
import type { FoundManifest } from './find-manifest.ts';
import { WholeAnswers } from './whole-answers.ts';

const D = `sha256:${'d'.repeat(64)}`;
const bytes = Buffer.from('{"schemaVersion":2}');
const found: FoundManifest = {
  digest: D,
  mediaType: 'application/vnd.oci.image.manifest.v1+json',
  size: bytes.length,
  bytes,
  from: 'cache',
  fromMemory: true,
  step: { from: 'cache', repository: { host: 'h', path: 'p' }, reference: D, reason: 'ByDigest' },
};
const NOON = Date.parse('2026-11-28T12:00:00.900Z');

describe('WholeAnswers', () => {
  it('writes head and body in one piece', () => {
    expect(new WholeAnswers().of(found, 'id-1', bytes, NOON).toString().split('\r\n')).toEqual([
      'HTTP/1.1 200 OK',
      'Docker-Distribution-Api-Version: registry/2.0',
      'Content-Type: application/vnd.oci.image.manifest.v1+json',
      'Content-Length: 19',
      `Docker-Content-Digest: ${D}`,
      `ETag: "${D}"`,
      'X-Request-Id: id-1',
      'Date: Sat, 28 Nov 2026 12:00:00 GMT',
      'Connection: keep-alive',
      'Keep-Alive: timeout=75',
      '',
      '{"schemaVersion":2}',
    ]);
  });

  it('has an id and a date of its own each time, and no body for HEAD', () => {
    const answers = new WholeAnswers();
    answers.of(found, 'id-1', bytes, NOON);
    const second = answers.of(found, 'id-2', undefined, NOON + 100).toString();
    expect(second).toContain('X-Request-Id: id-2\r\nDate: Sat, 28 Nov 2026 12:00:01 GMT\r\n');
    expect(second.endsWith('\r\n\r\n')).toBe(true);
  });
});
