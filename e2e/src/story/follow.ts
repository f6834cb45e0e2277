import { readFileSync } from 'node:fs';
import { until, WaitTimeout, type ServiceProcess } from '@kuik/testbed';
import { linesOf, type LogLine } from './log-lines.ts';
import { expectEqual, expectTrue, step } from './step.ts';
import { HOST, type World } from './world.ts';

interface Outcome {
  requestId: string | undefined;
  /** Who tells of that id and this image, in the order of the way. */
  told: string[];
}

const SHOP = `${HOST}/shop:1.0`;
const WAY = ['webhook', 'pod-watcher', 'image-copier', 'upstream', 'node-proxy'];
/** Services answer first and tell of it afterwards. */
const TOLD_WITHIN_MS = 5_000;

/** Looks for the request id of the pod's admission in every log on the way of its image. */
export const requestFollowed = step<World, Outcome>({
  id: 'followed',
  title: 'one request id leads from the admission to the first byte',
  logs: ['webhook', 'image-copier', 'node-proxy'],
  async act(world, progress) {
    progress('every log to tell of the request');
    const look = (): Outcome => {
      const requestId = admissionOf(world, 'shop');
      return { requestId, told: requestId === undefined ? [] : whoTells(world, requestId) };
    };
    try {
      return await until(
        () => {
          const seen = look();
          return seen.told.length === WAY.length ? seen : undefined;
        },
        { timeoutMs: TOLD_WITHIN_MS, what: 'the request id in every log' },
      );
    } catch (error) {
      if (error instanceof WaitTimeout) return look();
      throw error;
    }
  },
  check: ({ requestId, told }) => [
    ...expectTrue('request id of the admission', requestId !== undefined, 'one', 'none'),
    ...expectEqual('who tells of it', WAY, told),
  ],
  tell: ({ requestId, told }) => [`${requestId ?? ''}: ${told.join(' -> ')}`],
  breakages: [
    { name: 'no id', bend: (o) => ({ ...o, requestId: undefined }) },
    { name: 'a proxy that does not know it', bend: (o) => ({ ...o, told: o.told.slice(0, -1) }) },
  ],
});

function admissionOf(world: World, pod: string): string | undefined {
  const line = logOf(world.services.webhook).find(
    ({ message, pod: name, images }) =>
      message === 'admission answered' && name === pod && String(images).includes(SHOP),
  );
  return typeof line?.['requestId'] === 'string' ? line['requestId'] : undefined;
}

function whoTells(world: World, requestId: string): string[] {
  const tells: Record<string, boolean> = {
    webhook: true,
    'pod-watcher': some(world.services['pod-watcher'], (line) => line['requestId'] === requestId),
    'image-copier': some(world.services['image-copier'], (line) => line['requestId'] === requestId),
    upstream: world.faults.log.requests({ host: HOST }).some((request) => request.requestId === requestId),
    'node-proxy': some(world.services['node-proxy'], (line) => line['admission'] === requestId),
  };
  return WAY.filter((who) => tells[who]);
}

/** Whether a line about the shop's image is one of these. */
function some(processes: readonly ServiceProcess[], is: (line: LogLine) => boolean): boolean {
  return logOf(processes).some((line) => line['image'] === SHOP && is(line));
}

function logOf(processes: readonly ServiceProcess[]): LogLine[] {
  return processes.flatMap(({ logFile }) => linesOf(readFileSync(logFile, 'utf8')));
}
