import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { makeIndex, type MadeImage } from '@kuik/testbed';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { PullBroken, pullImage, type WantedImage } from './pull-image.ts';
import { Puller, type Surroundings } from './puller.ts';

let image: MadeImage;
let server: Server;
let wanted: WantedImage;
/** By the last part of a path: how the answer goes wrong. */
const wrong = new Map<string, (response: ServerResponse, bytes: Buffer) => void>();

beforeAll(async () => {
  image = await makeIndex({ seed: 'pulled', layers: [3_000, 1_000] });
  const content = new Map<string, Buffer>([['1', image.root.bytes]]);
  for (const { digest, bytes } of image.manifests) content.set(digest, bytes);
  for (const { digest, open } of image.blobs) content.set(digest, Buffer.concat([...open()]));
  server = createServer((request, response) => {
    const name = request.url!.slice(request.url!.lastIndexOf('/') + 1);
    const bytes = content.get(name);
    if (bytes === undefined) response.writeHead(404).end('no such thing');
    else if (wrong.has(name)) wrong.get(name)!(response, bytes);
    else response.end(bytes);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  wanted = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v2/app`,
    reference: '1',
    digest: image.digest,
    manifests: image.manifests.map(({ digest }) => digest),
    blobs: image.blobs.map(({ digest }) => digest),
  };
});
beforeEach(() => wrong.clear());
afterAll(() => {
  server.close();
  server.closeAllConnections();
});

const never = new AbortController().signal;
const largest = (): string => image.blobs.reduce((a, b) => (a.size > b.size ? a : b)).digest;

describe('pullImage', () => {
  it('is content with a whole image, by tag and by digest', async () => {
    await pullImage(wanted, never);
    await pullImage({ ...wanted, reference: image.digest }, never);
  });

  it.each<[string, (response: ServerResponse, bytes: Buffer) => void, RegExp]>([
    [
      'cut',
      (r, bytes) =>
        r.writeHead(200, { 'content-length': bytes.length }).write(bytes.subarray(0, 10), () => r.destroy()),
      /after \d+ bytes/,
    ],
    ['shortened', (r, bytes) => r.end(bytes.subarray(1)), /wrong bytes/],
    ['another', (r, bytes) => r.end(Buffer.alloc(bytes.length)), /wrong bytes/],
    ['refused', (r) => r.writeHead(503).end('{"errors":[]}'), /503 \{"errors":\[\]\}/],
  ])('notices a layer, a child and a root that is %s', async (_how, bend, why) => {
    for (const name of [largest(), image.manifests[0]!.digest, '1']) {
      wrong.set(name, bend);
      await expect(pullImage(wanted, never)).rejects.toThrow(why);
      wrong.clear();
    }
  });

  it('notices what it was not given', async () => {
    const more = [...wanted.blobs, `sha256:${'0'.repeat(64)}`];
    await expect(pullImage({ ...wanted, blobs: more }, never)).rejects.toThrow(PullBroken);
    await expect(pullImage({ ...wanted, manifests: wanted.manifests.slice(1) }, never)).rejects.toThrow(PullBroken);
  });

  it('passes an abort on as it is', async () => {
    await expect(pullImage(wanted, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  });
});

describe('Puller', () => {
  /** Pulls until something was recorded, or the server was asked often. */
  async function records(surroundings: Partial<Surroundings>) {
    let asked = 0;
    const count = (): void => void (asked += 1);
    server.on('request', count);
    const calm: Surroundings = { proxyLife: () => 1, upstreamLife: () => 1, isCached: () => false };
    const puller = new Puller(new Map([['app', wanted]]), { ...calm, ...surroundings });
    while (puller.records.length === 0 && asked < 50) await new Promise((resolve) => setImmediate(resolve));
    server.off('request', count);
    return puller.stop();
  }

  it('records whole pulls', async () => {
    expect((await records({}))[0]).toMatchObject({ image: 'app', ok: true, why: '', hopeless: false });
  });

  it.each<[string, Partial<Surroundings>, object | undefined]>([
    ['is a failure', {}, { ok: false, hopeless: false }],
    [
      'could not be helped while upstream was away and nothing cached',
      { upstreamLife: () => undefined },
      { ok: false, hopeless: true },
    ],
    [
      'is a failure of what was cached, upstream or not',
      { upstreamLife: () => undefined, isCached: () => true },
      { ok: false, hopeless: false },
    ],
    ['is none while the proxy is dead', { proxyLife: () => undefined }, undefined],
  ])('a broken pull %s', async (_what, surroundings, expected) => {
    wrong.set(largest(), (response) => response.writeHead(502).end());
    const [first] = await records(surroundings);
    if (expected === undefined) expect(first).toBeUndefined();
    else expect(first).toMatchObject({ ...expected, why: expect.stringContaining('502') as unknown });
  });

  it('counts a proxy that came back meanwhile as dead', async () => {
    wrong.set(largest(), (response) => response.writeHead(502).end());
    let life = 0;
    expect(await records({ proxyLife: () => (life += 1) })).toEqual([]);
  });
});
