import { toCacheRepository } from '@kuik/image';
import {
  freePort,
  makeArtifact,
  makeImage,
  makeIndex,
  pushImage,
  pushReferrer,
  type MadeBlob,
  type MadeImage,
  type PushOptions,
} from '@kuik/testbed';
import { HOST, startProxyWorld, type ProxyWorld, type RunningProxy } from './proxy-world.fixture.ts';

/** In the cache and upstream; upstream alone; in the cache alone, with an upstream that nobody reaches. */
export const KEPT = `${HOST}/kept`;
export const FRESH = `${HOST}/fresh`;
export const LOST = 'lost.example.test/lost';

export const SIGNATURE = 'application/vnd.example.signature.v1';
export const SBOM = 'application/vnd.example.sbom.v1';

/** One of each kind of content that a registry holds. */
export interface RegistryContent {
  readonly plain: MadeImage;
  /** The one layer of `plain`: 5,000 bytes. */
  readonly layer: MadeBlob & { readonly bytes: Buffer };
  /** All tags, in order. */
  readonly tags: readonly string[];
  readonly byTag: Readonly<Record<string, MadeImage>>;
  readonly signature: MadeImage;
  readonly sbom: MadeImage;
}

export interface ContentWorld extends ProxyWorld {
  readonly content: RegistryContent;
  readonly proxy: RunningProxy;
}

/** A proxy between a cache and an upstream that hold the same, each in one repository, byte for byte. */
export async function startContentWorld(): Promise<ContentWorld> {
  const [world, content, nobody] = await Promise.all([startProxyWorld(), makeContent(), freePort()]);
  const { cache, faults } = world;
  const inCache = (name: string) => {
    const [host, path] = name.split('/') as [string, string];
    const repository = toCacheRepository({ host, path })!;
    const authorization = cache.authorization('writer', [{ repository, actions: ['pull', 'push'] }]);
    return push(cache.writerUrl, repository, content, { authorization });
  };
  await Promise.all([
    ...[KEPT, LOST].map(inCache),
    ...[KEPT, FRESH].map((name) => {
      const { url, repository } = faults.backingOf(HOST, name.replace(`${HOST}/`, ''));
      return push(url, repository, content, {});
    }),
  ]);
  const registries = {
    ...faults.registries(),
    'lost.example.test': { address: `127.0.0.1:${nobody}`, plainHTTP: true },
  };
  return Object.assign(world, { content, proxy: await world.start({ settings: { registries } }) });
}

async function makeContent(): Promise<RegistryContent> {
  const plain = await makeImage({ seed: 'plain', layers: [{ bytes: 5_000, encoding: 'raw' }] });
  const [index, docker, list, signature, sbom] = await Promise.all([
    makeIndex({ seed: 'index', layers: [1024, 'empty'] }),
    makeImage({ seed: 'docker', format: 'docker', json: 'pretty' }),
    makeIndex({ seed: 'list', format: 'docker' }),
    makeArtifact({ seed: 'signature', subject: plain.root, artifactType: SIGNATURE }),
    makeArtifact({ seed: 'sbom', subject: plain.root, artifactType: SBOM }),
  ]);
  const byTag = { '1.0': plain, '1.1': plain, docker, index, list };
  const layer = plain.blobs.find(({ size }) => size === 5_000)!;
  return {
    plain,
    layer: { ...layer, bytes: Buffer.concat([...layer.open()]) },
    tags: Object.keys(byTag),
    byTag,
    signature,
    sbom,
  };
}

async function push(url: string, repository: string, content: RegistryContent, options: PushOptions): Promise<void> {
  for (const [tag, image] of Object.entries(content.byTag)) await pushImage(url, repository, [tag], image, options);
  for (const artifact of [content.signature, content.sbom])
    await pushReferrer(url, repository, content.plain.root, artifact, options);
}
