import { createServer, request as httpRequest, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { IMAGE_STATE, project } from '@kuik/contracts';
import { freePort, startService, until, type ServiceProcess } from '@kuik/testbed';
import { GcStack, REPOSITORY } from './gc-stack.fixture.ts';

let world: GcStack;
let gc: ServiceProcess;
let gate: Gate;

beforeAll(async () => {
  world = await GcStack.start();
  gate = await Gate.open(world.stack.cache.writerUrl);
  const port = await freePort();
  const file = await world.configure('gc-1', { cacheUrl: gate.url, port });
  gc = await startService('gc', { from: 'source', env: { KUIK_CONFIG: file }, healthPort: port });
}, 120_000);

afterAll(async () => {
  await gc?.stop();
  await gate?.close();
  await world?.stop();
});

/** Stands before the cache registry, and may do something between a deletion and the word of it. */
class Gate {
  readonly #server: Server;
  deleted: () => Promise<void> = () => Promise.resolve();

  private constructor(behind: string) {
    this.#server = createServer((request, response) => {
      const url = new URL(request.url ?? '/', behind);
      const { method = 'GET', headers } = request;
      const onward = httpRequest(url, { method, headers: { ...headers, host: url.host } }, (answer) => {
        const pass = (): void => {
          response.writeHead(answer.statusCode ?? 502, answer.headers);
          answer.pipe(response);
        };
        if (method === 'DELETE') void this.deleted().then(pass);
        else pass();
      });
      onward.on('error', () => response.destroy());
      request.pipe(onward);
    });
  }

  static async open(behind: string): Promise<Gate> {
    const gate = new Gate(behind);
    await new Promise<void>((resolve) => gate.#server.listen(0, '127.0.0.1', resolve));
    return gate;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}

it('killed between deleting a tag and its next write, while a copy is recorded that had found the tag: the copy is made again', async () => {
  const pushed = await world.push(['1.0'], 'killed');
  const { promise: killed, resolve } = Promise.withResolvers<void>();
  gate.deleted = async () => {
    await gc.kill();
    resolve();
  };
  const image = await world.add('killed', `${REPOSITORY}:1.0`, pushed.digest);
  await killed;
  expect(await world.served('1.0')).toBe(404);
  // The copier had looked before the tag went; a pod is there by now.
  const copiedAt = new Date().toISOString();
  const forUid = image.metadata.uid;
  await world.bend('killed', { usedBy: { count: 1 }, cache: { copiedAt } });
  world.holders = 'held';
  gate.deleted = () => Promise.resolve();
  await gc.restart();

  const removal = async () => (await world.find('killed'))?.status?.removal;
  const disowned = async () => Date.parse((await removal())?.removedAt ?? '') >= Date.parse(copiedAt);
  await until(disowned, { what: 'the copy to count no more', timeoutMs: 15_000 });
  const { key } = project(image)!;
  const state = async () => (await world.watcher.bucket(IMAGE_STATE).get(key))?.value;
  expect((await state())?.digest).toBeUndefined();

  // What pod-watcher and copier make of that.
  await world.push(['1.0'], 'killed');
  await world.bend('killed', { cache: { forUid, copiedAt: new Date(Date.now() + 1).toISOString() } });
  await until(async () => (await removal()) === undefined, { what: 'the image to be kept', timeoutMs: 15_000 });
  await until(async () => (await state())?.digest === pushed.digest, { what: 'word that it is there' });
  expect(await world.served('1.0')).toBe(200);
}, 60_000);
