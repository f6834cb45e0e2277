import { makeImage, makeIndex, type LayerInput } from '@kuik/testbed';
import { HOST } from '../story/world.ts';
import type { LocalStack } from '../stack/local-stack.ts';
import type { WantedImage } from './pull-image.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

interface Shape {
  readonly repository: string;
  readonly make: typeof makeImage | typeof makeIndex;
  readonly layers: readonly LayerInput[];
  /** The pod names it by digest. */
  readonly pinned: boolean;
}

/** Six images; two have a layer that is longer than what sockets hold, so that a registry's death cuts it. */
const IMAGES: readonly Shape[] = Array.from({ length: 6 }, (_, index) => ({
  repository: `app-${index}`,
  make: index % 2 === 0 ? makeIndex : makeImage,
  layers: [
    64 * KiB,
    (1 + index) * 256 * KiB,
    ...(index === 1 || index === 3 ? [{ bytes: 32 * MiB, encoding: 'raw' as const }] : []),
  ],
  pinned: index % 3 === 0,
}));

async function push(stack: LocalStack, name: string, shape: Shape): Promise<[string, WantedImage]> {
  const path = `${name}/${shape.repository}`;
  const image = await shape.make({ seed: `faults/${shape.repository}`, layers: shape.layers });
  const { digest, manifests, blobs } = await stack.push(HOST, path, ['1'], image);
  const wanted: WantedImage = {
    url: `http://${stack.proxyPrefix}/v2/${HOST}/${path}`,
    reference: shape.pinned ? digest : '1',
    digest,
    manifests,
    blobs: Object.keys(blobs),
  };
  return [shape.pinned ? `${HOST}/${path}@${digest}` : `${HOST}/${path}:1`, wanted];
}

/** Puts a round's images upstream; gives what a pull of each must bring, by the reference that pods use. `name` keeps rounds apart. */
export async function pushImages(stack: LocalStack, name: string): Promise<ReadonlyMap<string, WantedImage>> {
  return new Map(await Promise.all(IMAGES.map((shape) => push(stack, name, shape))));
}
