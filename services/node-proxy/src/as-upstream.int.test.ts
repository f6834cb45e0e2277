import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MANIFEST_TYPES } from '@kuik/testbed';
import { ask, HOST, type Answer, type Ask } from './proxy-world.fixture.ts';
import { KEPT, LOST, startContentWorld, type ContentWorld, type RegistryContent } from './registry-content.fixture.ts';

// What the cache holds is answered as its registry answers it: status, headers and bytes, while that lives and after. The registry is
// Distribution; where an answer differs from its, that is meant, and says why.

let world: ContentWorld;
beforeAll(async () => (world = await startContentWorld()));
afterAll(() => world.stop());

/** What clients go by. */
const HEADERS = [
  'content-type',
  'content-length',
  'content-encoding',
  'content-range',
  'accept-ranges',
  'docker-content-digest',
  'docker-distribution-api-version',
  'etag',
  'link',
  'location',
  'oci-filters-applied',
  'oci-subject',
  'warning',
  'www-authenticate',
] as const;
type Field = 'status' | 'body' | (typeof HEADERS)[number];

const WHY = {
  ourWords: 'an error says in our words what a person has to do; it is about the request, not about the blob',
  tellsTheSize:
    'an answer 416 tells the size (RFC 9110 §15.5.17); Distribution leaves it out when a range ends before it begins',
  unknownIsIgnored: 'a unit that is not known has to be ignored (RFC 9110 §14.2), and what is no range may be',
  oneRange: 'no client of images asks for several ranges; the whole is always right',
  tellsTheTag: 'an answer 304 has the ETag that a 200 would have (RFC 9110 §15.4.5)',
  noAccept: 'a client that says nothing takes everything; Distribution hides OCI content from it',
  noTag: 'what cannot be a tag is a mistake (400), not a page that is missing',
  ourApi: 'the referrers API is answered for registries that have none',
  readOnly: 'nothing is written through the proxy',
  ourTags: 'the lists of what refers to an image are kept under tags of ours in the cache, which are not the image’s',
  stale: 'upstream being away, nobody knows whether the tag has moved: the client is told',
  unknown: 'upstream being away, nobody knows whether it is there',
} as const;
type Differences = Readonly<Partial<Record<Field, keyof typeof WHY>>>;

interface Asked {
  readonly what: string;
  /** Below `/v2/<name>/`. */
  readonly path: (content: RegistryContent) => string;
  readonly method?: 'HEAD' | 'DELETE';
  readonly headers?: Readonly<Record<string, string>>;
  /** How the answer differs, and why; how it does besides when upstream is away. */
  readonly differs?: Differences;
  readonly away?: Differences;
}

const ABSENT = `sha256:${'0'.repeat(64)}`;
const STALE: Differences = { warning: 'stale' };
const WORDS: Differences = { body: 'ourWords', 'content-length': 'ourWords' };
const OUTSIDE: Differences = { ...WORDS, 'content-type': 'ourWords', 'docker-content-digest': 'ourWords' };
const WHOLE: Differences = {
  status: 'unknownIsIgnored',
  body: 'unknownIsIgnored',
  'content-length': 'unknownIsIgnored',
};
const layer = ({ layer: { digest } }: RegistryContent): string => `blobs/${digest}`;

const MANIFESTS = ['1.0', 'index', 'docker', 'list'].flatMap((tag): Asked[] => {
  const digest = ({ byTag }: RegistryContent): string => byTag[tag]!.digest;
  return [
    { what: `GET of the tag ${tag}`, path: () => `manifests/${tag}`, away: STALE },
    { what: `HEAD of the tag ${tag}`, method: 'HEAD', path: () => `manifests/${tag}`, away: STALE },
    { what: `GET of the digest of ${tag}`, path: (content) => `manifests/${digest(content)}` },
    { what: `HEAD of the digest of ${tag}`, method: 'HEAD', path: (content) => `manifests/${digest(content)}` },
    {
      what: `GET of the first manifest below ${tag}`,
      path: ({ byTag }) => `manifests/${byTag[tag]!.manifests[0]!.digest}`,
    },
    {
      what: `GET of ${tag} when the client has it`,
      path: (content) => `manifests/${digest(content)}`,
      headers: { 'if-none-match': 'ITS DIGEST' },
      differs: { etag: 'tellsTheTag', 'docker-content-digest': 'tellsTheTag' },
    },
  ];
});

const ROWS: readonly Asked[] = [
  ...MANIFESTS,
  {
    what: 'GET of a manifest without Accept',
    path: ({ plain }) => `manifests/${plain.digest}`,
    headers: { accept: '' },
    differs: {
      status: 'noAccept',
      body: 'noAccept',
      'content-type': 'noAccept',
      'content-length': 'noAccept',
      'docker-content-digest': 'noAccept',
      etag: 'noAccept',
    },
  },
  {
    what: 'GET of a part of a manifest',
    path: ({ plain }) => `manifests/${plain.digest}`,
    headers: { range: 'bytes=0-1' },
  },
  { what: 'GET of a config', path: ({ plain }) => `blobs/${plain.blobs[0]!.digest}` },
  { what: 'GET of a layer', path: layer },
  { what: 'HEAD of a layer', method: 'HEAD', path: layer },
  { what: 'GET of the empty layer', path: ({ byTag }) => `blobs/${byTag['index']!.blobs.at(-1)!.digest}` },
  { what: 'GET of a layer when the client has it', path: layer, headers: { 'if-none-match': 'ITS DIGEST' } },
  { what: 'GET of a layer when the client has another', path: layer, headers: { 'if-none-match': '"x"' } },
  ...['bytes=0-0', 'bytes=100-199', 'bytes=4900-', 'bytes=-100', 'bytes=4900-9000', 'bytes=-9000'].map(
    (range): Asked => ({ what: `GET of a layer, ${range}`, path: layer, headers: { range } }),
  ),
  ...['bytes=5000-', 'bytes=9000-9999'].map((range): Asked => ({
    what: `GET of a layer, ${range}`,
    path: layer,
    headers: { range },
    differs: OUTSIDE,
  })),
  {
    what: 'GET of a layer, bytes=20-10',
    path: layer,
    headers: { range: 'bytes=20-10' },
    differs: { ...OUTSIDE, 'content-range': 'tellsTheSize' },
  },
  ...['items=0-1', 'bytes=x-y'].map((range): Asked => ({
    what: `GET of a layer, ${range}`,
    path: layer,
    headers: { range },
    differs: {
      ...WHOLE,
      'content-type': 'unknownIsIgnored',
      'accept-ranges': 'unknownIsIgnored',
      etag: 'unknownIsIgnored',
    },
  })),
  {
    what: 'GET of a layer, two ranges',
    path: layer,
    headers: { range: 'bytes=0-1,5-6' },
    differs: { status: 'oneRange', body: 'oneRange', 'content-type': 'oneRange', 'content-length': 'oneRange' },
  },
  {
    what: 'GET of a part of what the client does not have any more',
    path: layer,
    headers: { range: 'bytes=1-2', 'if-range': '"x"' },
  },
  ...['manifests/absent', `manifests/${ABSENT}`, `blobs/${ABSENT}`].flatMap((path): Asked[] => [
    { what: `GET of ${path.slice(0, 20)}`, path: () => path, differs: WORDS, away: { status: 'unknown' } },
    {
      what: `HEAD of ${path.slice(0, 20)}`,
      method: 'HEAD',
      path: () => path,
      differs: { 'content-length': 'ourWords' },
      away: { status: 'unknown' },
    },
  ]),
  ...['blobs/sha256:abc', 'manifests/sha256:abc'].map((path): Asked => ({
    what: `GET of ${path}`,
    path: () => path,
    differs: WORDS,
  })),
  {
    what: 'GET of what is neither tag nor digest',
    path: () => 'manifests/-',
    differs: { ...WORDS, status: 'noTag', 'content-type': 'noTag' },
  },
  ...['?n=2', '?n=2&last=1.1', '?n=0', '?n=2&last=zzz'].map((query): Asked => ({
    what: `GET of tags/list${query}`,
    path: () => `tags/list${query}`,
    away: STALE,
  })),
  ...['', '?n=900', '?last=docker'].map((query): Asked => ({
    what: `GET of tags/list${query}`,
    path: () => `tags/list${query}`,
    away: { ...STALE, body: 'ourTags', 'content-length': 'ourTags' },
  })),
  {
    what: 'GET of what refers to it',
    path: ({ plain }) => `referrers/${plain.digest}`,
    differs: { status: 'ourApi', body: 'ourApi', 'content-type': 'ourApi', 'content-length': 'ourApi' },
    away: STALE,
  },
  {
    what: 'GET of the fallback tag that says what refers to it',
    path: ({ plain }) => `manifests/${plain.digest.replace(':', '-')}`,
    away: STALE,
  },
  { what: 'DELETE', method: 'DELETE', path: () => `manifests/absent`, differs: { ...WORDS, status: 'readOnly' } },
];

describe.each([
  ['while upstream lives', KEPT],
  ['while upstream is away', LOST],
])('what the cache holds is answered as upstream does, %s', (_when, name) => {
  it.each(ROWS.map((row) => [row.what, row] as const))('%s', async (_what, row) => {
    const path = row.path(world.content);
    const request = requestOf(row, path);
    const theirs = await ask(`${world.faults.host(HOST).url}/v2/kept/${path}`, request);
    const ours = await ask(`${world.proxy.url}/v2/${name}/${path}`, request);
    const meant = { ...row.differs, ...(name === LOST ? row.away : {}) };
    expect(differences(ours, theirs).toSorted()).toEqual(Object.keys(meant).toSorted());
  });
});

function requestOf({ method, headers = {} }: Asked, path: string): Ask {
  const { accept = MANIFEST_TYPES.join(', '), 'if-none-match': has, ...others } = headers;
  return {
    ...(method === undefined ? {} : { method }),
    headers: {
      ...others,
      ...(accept === '' ? {} : { accept }),
      ...(has === undefined ? {} : { 'if-none-match': has === 'ITS DIGEST' ? `"${path.split('/')[1]}"` : has }),
    },
  };
}

/** Fields in which two answers differ. JSON that names the repository is compared by what it says, the repository's name aside. */
function differences(ours: Answer, theirs: Answer): Field[] {
  const found: Field[] = ours.status === theirs.status ? [] : ['status'];
  const bodies = [ours, theirs].map(({ body }) => meaningOf(plain(body.toString('latin1'))));
  const renamed = theirs.body.includes('"name":"kept"') && bodies[0] === bodies[1];
  for (const name of HEADERS) {
    if (name === 'content-length' && renamed) continue;
    if (plain(ours.headers[name]) !== plain(theirs.headers[name])) found.push(name);
  }
  return bodies[0] === bodies[1] ? found : [...found, 'body'];
}

function plain(text: unknown): string {
  return String(text).replaceAll(/(registry\.example\.test\/kept|lost\.example\.test\/lost)/g, 'kept');
}

/** A list of tags, however it is written; everything else as it is. */
function meaningOf(text: string): string {
  return text.startsWith('{"name":') ? JSON.stringify(JSON.parse(text)) : text;
}

it('every reason for a difference is one that an answer has', () => {
  const had = ROWS.flatMap(({ differs = {}, away = {} }) => [...Object.values(differs), ...Object.values(away)]);
  expect([...new Set(had)].toSorted()).toEqual(Object.keys(WHY).toSorted());
});
