import { describe, expect, it } from '@jest/globals';
import type { ManifestReadReply } from '@kuik/contracts';
import { digestOf } from '@kuik/image';
import type { Credential, Manifest, RegistryAccess } from '@kuik/registry';
import { spareUpstream } from './spare-upstream.ts';

const BYTES = Buffer.from('{"shared":true}');
const DIGEST = digestOf(BYTES);
const reply = (bytes: Buffer): ManifestReadReply => ({ mediaType: 'shared', bytes: bytes.toString('base64') });
const refused = (code: string): ManifestReadReply => ({
  refused: { code, message: 'it said no', retryAfterMs: 9_000 },
});
const PASSWORD: Credential = { kind: 'basic', username: 'u', password: 'p' };

interface Case {
  counts?: boolean;
  parkedMs?: number;
  credentials?: readonly Credential[];
  answer?: ManifestReadReply | 'silence' | 'no bus';
  reference?: string;
}

/** Asks for one manifest: what came of it, what was asked of whom. */
async function ask({ counts = true, parkedMs = 0, credentials = [], answer = 'silence', reference = DIGEST }: Case) {
  const asked: string[] = [];
  let parked = 0;
  const own: Manifest = { digest: DIGEST, mediaType: 'own', size: 1, bytes: BYTES };
  const client = {
    host: 'docker.io',
    repository: 'library/app',
    openManifest: async (wanted: string) => {
      asked.push(`GET ${wanted === DIGEST ? 'digest' : wanted}`);
      return own;
    },
    headManifest: async () => own,
  };
  const registry = spareUpstream({
    registry: { upstream: () => client } as unknown as Pick<RegistryAccess, 'upstream'>,
    hosts: { counts: () => counts, parkedMs: () => parkedMs, left: () => '0 of 100 left' },
    bus:
      answer === 'no bus'
        ? undefined
        : {
            request: async (_subject, question) => {
              asked.push('copier');
              expect(question).toEqual({ host: 'docker.io', repository: 'library/app', digest: DIGEST });
              if (answer === 'silence') throw new Error('nobody answers');
              return answer as never;
            },
          },
    sharedReadMs: 10,
    onParked: () => (parked += 1),
  });
  const opened = registry.upstream('docker.io', 'library/app', { credentials: async () => credentials });
  const result = await opened.openManifest(reference).then(
    ({ mediaType }) => mediaType,
    ({ code, retryAfterMs, message }: { code: string; retryAfterMs?: number; message: string }) =>
      `${code} ${retryAfterMs}${message.includes('0 of 100 left') ? ' told' : ''}`,
  );
  expect((await opened.headManifest('1')).mediaType).toBe('own');
  return { result, asked, parked };
}

describe('a manifest that the cache does not have', () => {
  it.each<[string, Case, string, string[]]>([
    ['is had from a copier', { answer: reply(BYTES) }, 'shared', ['copier']],
    ['also while its registry limits us', { answer: reply(BYTES), parkedMs: 5 }, 'shared', ['copier']],
    ['is refused as its registry refused the copier', { answer: refused('not-found') }, 'not-found 9000', ['copier']],
    ['is read here when the copier cannot', { answer: { readYourself: true } }, 'own', ['copier', 'GET digest']],
    ['is read here when nobody answers', { answer: 'silence' }, 'own', ['copier', 'GET digest']],
    [
      'is read here when the copier sent something else',
      { answer: reply(Buffer.from('x')) },
      'own',
      ['copier', 'GET digest'],
    ],
    ['is read here without NATS', { answer: 'no bus' }, 'own', ['GET digest']],
    ['is read here when its registry counts nothing', { answer: reply(BYTES), counts: false }, 'own', ['GET digest']],
    ['is read here by tag', { answer: reply(BYTES), reference: '1' }, 'own', ['GET 1']],
    ['is not asked for while its registry limits us', { counts: false, parkedMs: 5_000 }, 'rate-limited 5000 told', []],
    [
      'is read here with a credential',
      { answer: reply(BYTES), credentials: [PASSWORD], parkedMs: 5 },
      'own',
      ['GET digest'],
    ],
  ])('%s', async (_, change, expected, requests) => {
    const { result, asked, parked } = await ask(change);
    expect([result, asked]).toEqual([expected, requests]);
    expect(parked).toBe(expected.endsWith('told') ? 1 : 0);
  });
});
