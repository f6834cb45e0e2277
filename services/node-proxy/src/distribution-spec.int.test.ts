import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ABSENT, REQUIREMENTS, type Expected } from './distribution-spec.fixture.ts';
import { ask, type Answer } from './proxy-world.fixture.ts';
import { FRESH, KEPT, LOST, startContentWorld, type ContentWorld } from './registry-content.fixture.ts';

let world: ContentWorld;
beforeAll(async () => (world = await startContentWorld()));
afterAll(() => world.stop());

/** Of the spec's table, those that a registry which is only read may need. */
const ERROR_CODES =
  /^(BLOB_UNKNOWN|DIGEST_INVALID|MANIFEST_UNKNOWN|NAME_INVALID|NAME_UNKNOWN|UNAUTHORIZED|DENIED|UNSUPPORTED|TOOMANYREQUESTS)$/;

function check(answer: Answer, { status, headers = {}, absent = [], bytes, json, error }: Expected): void {
  expect({ status: answer.status, complete: answer.complete }).toEqual({ status, complete: true });
  expect(answer.headers).toMatchObject(headers);
  for (const name of absent) expect(answer.headers).not.toHaveProperty(name);
  if (bytes !== undefined) expect(answer.body.equals(bytes)).toBe(true);
  if (json !== undefined) expect(JSON.parse(answer.body.toString())).toEqual(json);
  if (error === undefined) return;
  expect(answer.headers['content-type']).toMatch(/^application\/json/);
  const { errors } = JSON.parse(answer.body.toString()) as { errors: { code: string; message: string }[] };
  expect(errors).toEqual([expect.objectContaining({ code: error, message: expect.any(String) })]);
  expect(error).toMatch(ERROR_CODES);
}

describe.each([
  ['the cache and upstream hold', KEPT],
  ['only upstream holds', FRESH],
  ['only the cache holds, upstream being away', LOST],
])('what %s', (_where, name) => {
  const rows = REQUIREMENTS.filter(({ needsUpstream }) => needsUpstream !== true || name !== LOST);

  it.each(rows.map((row) => [row.section, row.level, row.that, row] as const))(
    '%s: %s: %s',
    async (_section, _level, _that, { path, request, expected }) => {
      const answer = await ask(`${world.proxy.url}/v2/${name}/${path(world.content)}`, request);
      check(answer, expected(world.content, name));
    },
  );
});

describe('requirements that no repository is needed for', () => {
  it.each([
    ['Determining Support (end-1)', 'MUST', '/v2/ is answered 200', '/v2/', { status: 200 }],
    ['Pulling manifests', 'MUST', 'a name outside the grammar is 400', `/v2/${KEPT}/UPPER/manifests/1`, nameInvalid()],
    ['Pulling blobs', 'MUST', 'also of a blob', `/v2/${KEPT}/a..b/blobs/${ABSENT}`, nameInvalid()],
    ['Listing Tags', 'MUST', 'also of tags', `/v2/${KEPT}/UPPER/tags/list`, nameInvalid()],
    ['Listing Referrers', 'MUST', 'also of referrers', `/v2/${KEPT}/UPPER/referrers/${ABSENT}`, nameInvalid()],
    [
      'Listing Tags (end-8a), Error Codes (code-9)',
      'MUST',
      'tags of a repository that is not there are answered 404',
      `/v2/${KEPT}/absent/tags/list`,
      { status: 404, error: 'NAME_UNKNOWN' },
    ],
  ] as const)('%s: %s: %s', async (_section, _level, _that, path, expected) => {
    check(await ask(`${world.proxy.url}${path}`), expected);
  });

  it('Checking if content exists: MUST: an error has the same status and headers for HEAD as for GET, and no body', async () => {
    for (const path of [`${KEPT}/manifests/absent`, `${KEPT}/blobs/sha256:abc`, 'UPPER/x/manifests/1']) {
      const [get, head] = await Promise.all(
        ['GET', 'HEAD'].map((method) => ask(`${world.proxy.url}/v2/${path}`, { method })),
      );
      const compared = ({ status, headers }: Answer) => [status, headers['content-type']];
      expect(compared(head!)).toEqual(compared(get!));
      expect(head!.body.length).toBe(0);
    }
  });

  it('Listing Tags (end-8b): MUST: the pages put together are the whole list, in order', async () => {
    for (const name of [KEPT, FRESH, LOST]) {
      const tags: string[] = [];
      let next: string | undefined = `/v2/${name}/tags/list?n=2`;
      for (let pages = 0; next !== undefined && pages < 9; pages += 1) {
        const { body, headers }: Answer = await ask(`${world.proxy.url}${next}`);
        tags.push(...(JSON.parse(body.toString()) as { tags: string[] }).tags);
        next = /^<(.+)>; rel="next"$/.exec(String(headers['link'] ?? ''))?.[1];
      }
      expect(tags.filter((tag) => !tag.startsWith('sha256-'))).toEqual(world.content.tags);
      expect(tags).toEqual(tags.toSorted());
    }
  });
});

function nameInvalid(): Expected {
  return { status: 400, error: 'NAME_INVALID' };
}
