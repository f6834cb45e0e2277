import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from '@jest/globals';
import { sized } from '@kuik/tooling';
import { createKubeClient } from './client.ts';
import type { KubeObject } from './port.ts';
import { createReflector } from './reflector.ts';
import { PODS } from './resources.ts';
import { kubeconfigText } from './testing/scripted-server.ts';
import { temporaryFolder } from './testing/temporary-folder.ts';

const COUNT = sized({ usual: 5_000, full: 10_000 });
const BYTES = 5_700;

interface Pod extends KubeObject {
  spec: { nodeName?: string; containers: { image: string }[] };
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;
const heapMiB = (): number => {
  collectGarbage();
  return process.memoryUsage().heapUsed / 2 ** 20;
};

/**
 * Watches the turns of the event loop: `longest()` ends the watch and tells how much CPU the longest of them took on this thread, in
 * seconds. Wall time would tell as well what else the machine does.
 */
function watchTurns(): { longest(): number } {
  let longest = 0;
  let before = process.threadCpuUsage();
  let next: NodeJS.Immediate;
  const look = (): void => {
    const { user, system } = process.threadCpuUsage(before);
    longest = Math.max(longest, (user + system) / 1e6);
    before = process.threadCpuUsage();
    next = setImmediate(look);
  };
  next = setImmediate(look);
  return {
    longest() {
      clearImmediate(next);
      return longest;
    },
  };
}

describe(`a reflector of ${COUNT} pods of 5.7 KB`, () => {
  it('never takes 0.3 s of CPU in one turn of the event loop, and keeps 1.6 KiB of each at most', async () => {
    const server = fork(new URL('./testing/many-pods.ts', import.meta.url), [String(COUNT), String(BYTES)]);
    const [port] = (await once(server, 'message')) as [number];
    await using folder = await temporaryFolder();
    const client = createKubeClient({
      kubeconfig: await folder.write('config', kubeconfigText(`http://127.0.0.1:${port}`, {})),
    });
    const seen: number[] = [];
    const reflector = createReflector<Pod, { node: string; images: string[] }>({
      client,
      resource: PODS,
      project: ({ spec }) => ({ node: spec.nodeName ?? '', images: spec.containers.map(({ image }) => image) }),
      onChange: () => seen.length === 0 && seen.push(process.memoryUsage().rss),
    });
    try {
      const before = heapMiB();
      const turns = watchTurns();
      reflector.start();
      await reflector.whenSynced(AbortSignal.timeout(30_000));
      const longest = turns.longest();
      const grownMiB = (process.memoryUsage().rss - seen[0]!) / 2 ** 20;
      expect(reflector.size()).toBe(COUNT);
      expect(reflector.get({ namespace: 'ns-7', name: 'pod-7' })?.node).toBe('node-7');
      expect(longest).toBeGreaterThan(0);
      expect(longest).toBeLessThan(0.3);
      expect(heapMiB() - before).toBeLessThan((8 * COUNT) / 5_000);
      // Between the first page and the last: pages come and go, however many there are.
      expect(grownMiB).toBeLessThan(100);
    } finally {
      await reflector.stop();
      await client.close();
      server.kill('SIGKILL');
    }
  });
});
