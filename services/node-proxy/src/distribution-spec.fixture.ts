import { expect } from '@jest/globals';
import { digestOf } from '@kuik/image';
import type { Ask } from './proxy-world.fixture.ts';
import { SBOM, SIGNATURE, type RegistryContent } from './registry-content.fixture.ts';

// What the distribution spec v1.1.1 (https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md) requires of a registry for
// pull and content discovery, requirement by requirement.

const INDEX = 'application/vnd.oci.image.index.v1+json';
export const ABSENT = `sha256:${'0'.repeat(64)}`;

/** What is expected of an answer; every field that is there. */
export interface Expected {
  readonly status: number;
  readonly headers?: Readonly<Record<string, unknown>>;
  readonly absent?: readonly string[];
  readonly bytes?: Buffer;
  readonly json?: object;
  /** Code of the one error. */
  readonly error?: string;
}

export interface Requirement {
  /** Chapter of the spec, or of RFC 9110 to which it defers; its endpoint. */
  readonly section: string;
  readonly level: 'MUST' | 'SHOULD' | 'MAY';
  readonly that: string;
  /** Below `/v2/<name>/`. */
  readonly path: (content: RegistryContent) => string;
  readonly request?: Ask;
  readonly expected: (content: RegistryContent, name: string) => Expected;
  /** Of what upstream alone can say, when there is one. */
  readonly needsUpstream?: true;
}

const blob = ({ layer }: RegistryContent): string => `blobs/${layer.digest}`;
const range = (text: string): Ask => ({ headers: { range: text } });
const part =
  (first: number, last: number) =>
  ({ layer }: RegistryContent) => ({
    status: 206,
    headers: { 'content-range': `bytes ${first}-${last}/5000`, 'content-length': String(last - first + 1) },
    bytes: layer.bytes.subarray(first, last + 1),
  });
const whole = ({ layer }: RegistryContent): Expected => ({
  status: 200,
  headers: { 'content-length': '5000' },
  absent: ['content-range'],
  bytes: layer.bytes,
});
const descriptor = (of: 'signature' | 'sbom', artifactType: string) => (content: RegistryContent) => {
  const { mediaType, digest, size } = content[of].root;
  return { mediaType, digest, size, artifactType };
};

const MANIFESTS = ['1.0', 'index', 'docker', 'list'].flatMap((tag): Requirement[] => [
  {
    section: 'Pulling manifests (end-3)',
    level: 'MUST',
    that: `the manifest with the tag ${tag} is answered 200, its bytes as they were pushed`,
    path: () => `manifests/${tag}`,
    expected: ({ byTag }) => ({ status: 200, bytes: byTag[tag]!.root.bytes }),
  },
  {
    section: 'Pulling manifests (end-3)',
    level: 'MUST',
    that: `the manifest with the digest of ${tag}, too`,
    path: ({ byTag }) => `manifests/${byTag[tag]!.digest}`,
    expected: ({ byTag }) => ({ status: 200, bytes: byTag[tag]!.root.bytes }),
  },
  {
    section: 'Pulling manifests (end-3)',
    level: 'SHOULD',
    that: `Docker-Content-Digest of ${tag} is there and matches; its Content-Type is what it says it is, without parameters`,
    path: () => `manifests/${tag}`,
    expected: ({ byTag }) => {
      const { bytes, mediaType, size } = byTag[tag]!.root;
      return {
        status: 200,
        headers: {
          'docker-content-digest': digestOf(bytes),
          'content-type': mediaType,
          'content-length': String(size),
        },
      };
    },
  },
]);

/** One after the other, in the spec's order. */
export const REQUIREMENTS: readonly Requirement[] = [
  ...MANIFESTS,
  {
    section: 'Pulling manifests (end-3)',
    level: 'MUST',
    that: 'a child of an index is answered 200 by its digest',
    path: ({ byTag }) => `manifests/${byTag['index']!.manifests[0]!.digest}`,
    expected: ({ byTag }) => ({ status: 200, bytes: byTag['index']!.manifests[0]!.bytes }),
  },
  {
    section: 'Pulling manifests (end-3)',
    level: 'MUST',
    that: 'a tag that is not there is answered 404',
    path: () => 'manifests/absent',
    expected: () => ({ status: 404, error: 'MANIFEST_UNKNOWN' }),
    needsUpstream: true,
  },
  {
    section: 'Pulling manifests (end-3)',
    level: 'MUST',
    that: 'a manifest that is not there is answered 404',
    path: () => `manifests/${ABSENT}`,
    expected: () => ({ status: 404, error: 'MANIFEST_UNKNOWN' }),
    needsUpstream: true,
  },
  ...['sha256:abc', 'sha256:', `sha256:${'z'.repeat(64)}`].flatMap((digest): Requirement[] =>
    (['manifests', 'blobs'] as const).map((kind) => ({
      section: 'Digests, Error Codes (code-4)',
      level: 'MUST',
      that: `${kind}/${digest.slice(0, 12)} is answered 400: that is no digest`,
      path: () => `${kind}/${digest}`,
      expected: () => ({ status: 400, error: 'DIGEST_INVALID' }),
    })),
  ),
  {
    section: 'Pulling blobs (end-2)',
    level: 'MUST',
    that: 'a blob is answered 200 with its bytes',
    path: blob,
    expected: whole,
  },
  {
    section: 'Pulling blobs (end-2)',
    level: 'SHOULD',
    that: 'Docker-Content-Digest of a blob is there and matches',
    path: blob,
    expected: ({ layer }) => ({ status: 200, headers: { 'docker-content-digest': digestOf(layer.bytes) } }),
  },
  {
    section: 'Pulling blobs (end-2)',
    level: 'MUST',
    that: 'a blob that is not there is answered 404',
    path: () => `blobs/${ABSENT}`,
    expected: () => ({ status: 404, error: 'BLOB_UNKNOWN' }),
    needsUpstream: true,
  },
  {
    section: 'Pulling blobs (end-2); RFC 9110 §14.3',
    level: 'SHOULD',
    that: 'ranges of blobs are offered',
    path: blob,
    expected: () => ({ status: 200, headers: { 'accept-ranges': 'bytes' } }),
  },
  ...(
    [
      ['bytes=0-0', 0, 0],
      ['bytes=100-199', 100, 199],
      ['bytes=4900-', 4900, 4999],
      ['bytes=-100', 4900, 4999],
      ['bytes=4900-9000', 4900, 4999],
      ['bytes=-9000', 0, 4999],
    ] as const
  ).map(([text, first, last]): Requirement => ({
    section: 'Pulling blobs (end-2); RFC 9110 §14.1.2, §15.3.7',
    level: 'SHOULD',
    that: `${text} is answered 206 with the bytes ${first} to ${last}`,
    path: blob,
    request: range(text),
    expected: part(first, last),
  })),
  ...['bytes=5000-', 'bytes=9000-9999', 'bytes=-0', 'bytes=20-10'].map((text): Requirement => ({
    section: 'Pulling blobs (end-2); RFC 9110 §15.5.17',
    level: 'SHOULD',
    that: `${text} of 5,000 bytes is answered 416 with the size`,
    path: blob,
    request: range(text),
    expected: () => ({ status: 416, headers: { 'content-range': 'bytes */5000' }, error: 'UNSUPPORTED' }),
  })),
  ...['items=0-1', 'bytes=0-1,5-6'].map((text): Requirement => ({
    section: 'RFC 9110 §14.2',
    level: 'MAY',
    that: `${text} is not looked at: the whole blob`,
    path: blob,
    request: range(text),
    expected: whole,
  })),
  {
    section: 'RFC 9110 §13.1.5',
    level: 'MUST',
    that: 'a range of what the client does not have any more (If-Range) is not sent: the whole blob',
    path: blob,
    request: { headers: { range: 'bytes=1-2', 'if-range': '"another"' } },
    expected: whole,
  },
  {
    section: 'RFC 9110 §13.1.2',
    level: 'SHOULD',
    that: 'a manifest that the client has (If-None-Match) is answered 304 without a body',
    path: ({ plain }) => `manifests/${plain.digest}`,
    request: { headers: { 'if-none-match': '*' } },
    expected: () => ({ status: 304, bytes: Buffer.alloc(0) }),
  },
  {
    section: 'RFC 9110 §13.1.2',
    level: 'SHOULD',
    that: 'a blob, too',
    path: blob,
    request: { headers: { 'if-none-match': '*' } },
    expected: () => ({ status: 304, bytes: Buffer.alloc(0) }),
  },
  {
    section: 'Checking if content exists (end-2)',
    level: 'MUST',
    that: 'HEAD of a blob is answered 200 with its size and digest',
    path: blob,
    request: { method: 'HEAD' },
    expected: ({ layer }) => ({
      status: 200,
      headers: { 'content-length': '5000', 'docker-content-digest': layer.digest },
      bytes: Buffer.alloc(0),
    }),
  },
  ...['1.0', 'list'].map((tag): Requirement => ({
    section: 'Checking if content exists (end-3)',
    level: 'MUST',
    that: `HEAD of the manifest ${tag} is answered 200 with its size, type and digest`,
    path: () => `manifests/${tag}`,
    request: { method: 'HEAD' },
    expected: ({ byTag }) => {
      const { digest, size, mediaType } = byTag[tag]!.root;
      return {
        status: 200,
        headers: { 'content-length': String(size), 'docker-content-digest': digest, 'content-type': mediaType },
        bytes: Buffer.alloc(0),
      };
    },
  })),
  ...[`blobs/${ABSENT}`, `manifests/${ABSENT}`, 'manifests/absent'].map((path): Requirement => ({
    section: 'Checking if content exists',
    level: 'MUST',
    that: `HEAD of ${path.slice(0, 24)}, which is not there, is answered 404`,
    path: () => path,
    request: { method: 'HEAD' },
    expected: () => ({ status: 404, bytes: Buffer.alloc(0) }),
    needsUpstream: true,
  })),
  {
    section: 'Listing Tags (end-8a)',
    level: 'MUST',
    that: 'all tags are listed in lexical order under the name that was asked for',
    path: () => 'tags/list',
    expected: ({ tags }, name) => ({
      status: 200,
      headers: { 'content-type': expect.stringMatching(/^application\/json/) },
      json: { name, tags: expect.arrayContaining([...tags]) },
    }),
  },
  {
    section: 'Listing Tags (end-8b)',
    level: 'MUST',
    that: 'n tags, and where to go on',
    path: () => 'tags/list?n=2',
    expected: (_content, name) => ({
      status: 200,
      headers: { link: expect.stringMatching(`^</v2/${name}/tags/list\\?last=1.1&n=2>; rel="next"$`) },
      json: { name, tags: ['1.0', '1.1'] },
    }),
  },
  {
    section: 'Listing Tags (end-8b)',
    level: 'MUST',
    that: 'n = 0 is an empty list that does not go on',
    path: () => 'tags/list?n=0',
    expected: (_content, name) => ({ status: 200, absent: ['link'], json: { name, tags: [] } }),
  },
  {
    section: 'Listing Tags (end-8b)',
    level: 'MUST',
    that: 'more than there are: all of them, and nowhere to go on',
    path: () => 'tags/list?n=900',
    expected: ({ tags }, name) => ({
      status: 200,
      absent: ['link'],
      json: { name, tags: expect.arrayContaining([...tags]) },
    }),
  },
  {
    section: 'Listing Tags (end-8b)',
    level: 'MUST',
    that: 'a page begins after the tag `last`',
    path: () => 'tags/list?n=2&last=1.1',
    expected: (_content, name) => ({ status: 200, json: { name, tags: ['docker', 'index'] } }),
  },
  {
    section: 'Listing Tags (end-8b)',
    level: 'MUST',
    that: '`last` without n is the rest, also after a tag that is not there',
    path: () => 'tags/list?last=indey',
    expected: (_content, name) => ({
      status: 200,
      absent: ['link'],
      json: { name, tags: expect.not.arrayContaining(['1.0', '1.1', 'docker', 'index']) },
    }),
  },
  {
    section: 'Listing Referrers (end-12a)',
    level: 'MUST',
    that: 'what refers to a manifest is an OCI index of descriptors with their artifactType',
    path: ({ plain }) => `referrers/${plain.digest}`,
    expected: (content) => ({
      status: 200,
      headers: { 'content-type': INDEX },
      absent: ['oci-filters-applied'],
      json: {
        schemaVersion: 2,
        mediaType: INDEX,
        manifests: [descriptor('signature', SIGNATURE)(content), descriptor('sbom', SBOM)(content)],
      },
    }),
  },
  {
    section: 'Listing Referrers (end-12a)',
    level: 'MUST',
    that: 'nothing that refers to it is an empty index, not 404',
    path: ({ byTag }) => `referrers/${byTag['docker']!.digest}`,
    expected: () => ({
      status: 200,
      headers: { 'content-type': INDEX },
      json: { schemaVersion: 2, mediaType: INDEX, manifests: [] },
    }),
    needsUpstream: true,
  },
  {
    section: 'Listing Referrers (end-12a)',
    level: 'MUST',
    that: 'of a digest with invalid syntax it is 400',
    path: () => 'referrers/sha256:abc',
    expected: () => ({ status: 400, error: 'DIGEST_INVALID' }),
  },
  {
    section: 'Listing Referrers (end-12b)',
    level: 'SHOULD',
    that: 'only those of one artifactType, and the answer says so',
    path: ({ plain }) => `referrers/${plain.digest}?artifactType=${encodeURIComponent(SBOM)}`,
    expected: (content) => ({
      status: 200,
      headers: { 'oci-filters-applied': 'artifactType', 'content-type': INDEX },
      json: { schemaVersion: 2, mediaType: INDEX, manifests: [descriptor('sbom', SBOM)(content)] },
    }),
  },
  {
    section: 'Listing Referrers (end-12b)',
    level: 'MUST',
    that: 'none of that artifactType is an empty index, and the answer says so',
    path: ({ plain }) => `referrers/${plain.digest}?artifactType=application/x`,
    expected: () => ({
      status: 200,
      headers: { 'oci-filters-applied': 'artifactType' },
      json: { schemaVersion: 2, mediaType: INDEX, manifests: [] },
    }),
  },
];
