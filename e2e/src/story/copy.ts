import { bytes, short } from '../checklist.ts';
import { untilReady } from './cached-images.ts';
import { expectEqual, expectTrue, step } from './step.ts';
import { HOST, type World } from './world.ts';

interface Row {
  reference: string;
  upstream: string | undefined;
  cached: string | undefined;
  platforms: number;
  bytes: number;
  blobs: number;
}

interface Outcome {
  ms: number;
  rows: Row[];
  sharedBlobs: number;
}

/** Waits until everything that the pod uses is cached, and compares each digest with the one upstream has. */
export const imagesCopied = step<World, Outcome>({
  id: 'copied',
  title: "every image of the pod cached; digests equal upstream's",
  logs: ['pod-watcher', 'image-copier'],
  async act(world, progress) {
    const since = performance.now();
    const log = world.pushed.get(`${HOST}/log:2.1`)!;
    const references = [
      `${HOST}/shop:1.0`,
      `${HOST}/log@${log.digest}`,
      `${HOST}/migrate:7`,
      'docker.io/library/busybox:1.36',
    ];
    const images = await untilReady(world.api, references, progress);
    return {
      ms: performance.now() - since,
      sharedBlobs: images.reduce((sum, image) => sum + (image.status?.cache?.sharedBlobs ?? 0), 0),
      rows: images.map((image, index) => ({
        reference: references[index]!,
        upstream: world.pushed.get(references[index]!)?.digest,
        cached: image.status?.cache?.digest,
        platforms: image.status?.cache?.platforms?.length ?? 0,
        bytes: image.status?.cache?.bytes ?? 0,
        blobs: image.status?.cache?.blobs ?? 0,
      })),
    };
  },
  check: ({ rows }) => [
    ...expectEqual('images cached', 4, rows.length),
    ...rows.flatMap((row) => [
      ...expectEqual(`digest of ${row.reference}`, row.upstream, row.cached),
      ...expectTrue(`size of ${row.reference}`, row.bytes > 0, 'more than nothing', String(row.bytes)),
    ]),
  ],
  tell: ({ ms, rows, sharedBlobs }) => [
    `${rows.length} images in ${(ms / 1000).toFixed(1)} s: ${bytes(rows.reduce((sum, row) => sum + row.bytes, 0))} in ${rows.reduce((sum, row) => sum + row.blobs, 0)} blobs, ${sharedBlobs} shared`,
    ...rows.map(
      (row) =>
        `${row.reference.replace(/@sha256:(..)[0-9a-f]+/, '@sha256:$1..').padEnd(40)} ${short(row.cached)}  ${row.platforms} platforms`,
    ),
  ],
  breakages: [
    {
      name: "a digest that is not upstream's",
      bend: (o) => ({
        ...o,
        rows: o.rows.map((row, i) => (i === 0 ? { ...row, cached: `sha256:${'0'.repeat(64)}` } : row)),
      }),
    },
    { name: 'an image that is missing', bend: (o) => ({ ...o, rows: o.rows.slice(1) }) },
    { name: 'an image without bytes', bend: (o) => ({ ...o, rows: o.rows.map((row) => ({ ...row, bytes: 0 })) }) },
  ],
});
