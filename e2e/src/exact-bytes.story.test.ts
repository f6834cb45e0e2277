import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { cosignTags, referrersTag } from '@kuik/image';
import { indexOf, makeArtifact, makeImage, makeIndex, pushReferrer, type MadeImage } from '@kuik/testbed';
import { ExactBytes, imageIn } from './exact-bytes/exact-bytes.ts';
import { pullWithSkopeo } from './stack/skopeo.ts';

const LAYERS = [{ bytes: 20_000 }];

let world: ExactBytes;
beforeAll(async () => {
  world = await ExactBytes.start();
}, 60_000);
afterAll(() => world?.stop());

/** Which blobs of a platform's image the cache has. */
async function blobsHeld(repository: string, image: MadeImage): Promise<boolean[]> {
  const asked = image.blobs.map(({ digest }) => world.inCache(repository, `blobs/${digest}`, 'HEAD'));
  return (await Promise.all(asked)).map(({ status }) => status === 200);
}

it('signed images: what is about them is verified with upstream cut off, and goes with them', async () => {
  const image = await makeIndex({ seed: 'signed' });
  const about = (seed: string, artifactType: string, subject = image) =>
    makeArtifact({ seed, artifactType, subject: subject.root });
  const signature = await about('signature', 'application/vnd.cncf.notary.signature');
  const sbom = await about('sbom', 'application/spdx+json');
  const counter = await about('counter', 'application/vnd.cncf.notary.signature', sbom);
  const [sigTag, , sbomTag] = cosignTags(image.digest) as [string, string, string];
  await world.push('signed', ['1'], image);
  const { url, repository } = world.backing('signed');
  for (const one of [signature, sbom]) await pushReferrer(url, repository, image.root, one);
  await pushReferrer(url, repository, sbom.root, counter);
  await world.tag('signed', sigTag, await makeArtifact({ seed: 'cosign' }));
  await world.tag('signed', sbomTag, await makeArtifact({ seed: 'cosign-sbom' }));
  // As `cosign sign --recursive` and per-platform SBOMs do: also about the platform that is kept, and about the one that is not.
  const [platform, onDemand] = ['linux/amd64', 'linux/arm64'].map((name) => image.platforms[name]!) as [string, string];
  const childSboms = new Map<string, MadeImage>();
  for (const digest of [platform, onDemand]) {
    const child = image.manifests.find((manifest) => manifest.digest === digest)!;
    const childSbom = await makeArtifact({
      seed: `sbom of ${digest}`,
      artifactType: 'application/spdx+json',
      subject: child,
    });
    childSboms.set(digest, childSbom);
    await pushReferrer(url, repository, child, childSbom);
    await world.tag('signed', cosignTags(digest)[0]!, await makeArtifact({ seed: `cosign of ${digest}` }));
  }

  await world.hold('signed', imageIn('signed:1'));
  expect(await world.cached(imageIn('signed:1'))).toMatchObject({ digest: image.digest, referrers: 7 });
  await world.upstream('down');

  const list = async (digest: string, query = '') => {
    const answer = await world.pull('signed', `referrers/${digest}${query}`);
    expect([answer.status, answer.headers.get('content-type')]).toEqual([
      200,
      'application/vnd.oci.image.index.v1+json',
    ]);
    return (JSON.parse(answer.bytes.toString()) as { manifests: { digest: string }[] }).manifests.map(
      ({ digest: of }) => of,
    );
  };
  expect(await list(image.digest)).toEqual([signature.digest, sbom.digest]);
  expect(await list(image.digest, '?artifactType=application%2Fspdx%2Bjson')).toEqual([sbom.digest]);
  expect(await list(sbom.digest)).toEqual([counter.digest]);
  expect(await list(platform)).toEqual([childSboms.get(platform)!.digest]);
  // What a client of the tag schema asks for, and cosign; every byte of each.
  expect((await world.pull('signed', `manifests/${referrersTag(image.digest)}`)).status).toBe(200);
  for (const tag of [sigTag, sbomTag, cosignTags(platform)[0]!])
    expect((await pullWithSkopeo(world.proxyPrefix, imageIn(`signed:${tag}`))).digest).toMatch(/^sha256:/);
  for (const one of [signature, sbom, counter, childSboms.get(platform)!]) {
    const got = [one.root, ...one.blobs].map(async ({ digest }, at) => {
      const { status, digest: came } = await world.pull('signed', `${at === 0 ? 'manifests' : 'blobs'}/${digest}`);
      expect([status, came]).toEqual([200, digest]);
    });
    await Promise.all(got);
  }

  const inCache = async (what: string) => (await world.inCache('signed', `manifests/${what}`, 'HEAD')).status;
  const ofChildren = [platform, onDemand].flatMap((digest) => [referrersTag(digest), cosignTags(digest)[0]!]);
  expect(await Promise.all(ofChildren.map(inCache))).toEqual([200, 200, 404, 404]);

  await world.release('signed');
  await world.gone(imageIn('signed:1'));
  const { tags } = (await (await world.inCache('signed', 'tags/list')).json()) as { tags: string[] | null };
  expect(tags ?? []).toEqual([]);
  await world.upstream('up');
}, 60_000);

it('pinned, mixed, sparse: every digest is what was asked for, and nothing is stored that nobody asked for', async () => {
  const platforms = ['linux/amd64', 'linux/arm64', 'linux/s390x'];
  const children = await Promise.all(
    platforms.map((platform) => makeImage({ seed: `app/${platform}`, platform, layers: LAYERS })),
  );
  const [amd64, arm64, s390x] = children as [MadeImage, MadeImage, MadeImage];
  const platform = (at: number) => ({ os: 'linux', architecture: platforms[at]!.slice('linux/'.length) });
  const app = indexOf(
    children.map((image, at) => ({ image, platform: platform(at) })),
    { json: 'odd' },
  );
  const edgeOnly = await makeImage({ seed: 'edge', platform: 'linux/arm64', layers: LAYERS });
  const edge = indexOf([{ image: edgeOnly, platform: platform(1) }], { json: 'pretty' });
  // Two of one family; the one that the cluster's node cannot run is what a pod names.
  const [sibling, child] = (await Promise.all(
    [0, 1].map((at) => makeImage({ seed: `family/${at}`, platform: platforms[at]!, layers: LAYERS })),
  )) as [MadeImage, MadeImage];
  const family = indexOf([sibling, child].map((image, at) => ({ image, platform: platform(at) })));
  await world.push('app', ['1'], app);
  await world.push('edge', ['1'], edge);
  await world.push('family', ['1'], family);

  const pinned = imageIn(`app:1@${app.digest}`);
  await world.hold('pinned', pinned);
  await world.hold('tagged', imageIn('app:1'));
  await world.hold('edge', imageIn('edge:1'));
  await world.hold('child', imageIn(`family@${child.digest}`));
  expect(await world.cached(pinned)).toMatchObject({
    digest: app.digest,
    platforms: ['linux/amd64'],
    platformsOnDemand: ['linux/arm64', 'linux/s390x'],
  });
  expect(await world.cached(imageIn('edge:1'))).toMatchObject({
    digest: edge.digest,
    platformsOnDemand: ['linux/arm64'],
  });
  const held = { digest: child.digest, platforms: ['linux/arm64'] };
  expect(await world.cached(imageIn(`family@${child.digest}`))).toMatchObject(held);
  await world.cached(imageIn('app:1'));

  // By digest, never pulled by tag before; the bytes of the index are the index.
  expect((await world.pull('app', `manifests/${app.digest}`)).digest).toBe(app.digest);
  expect(await blobsHeld('app', amd64)).toEqual([true, true]);
  expect(await blobsHeld('app', arm64)).toEqual([false, false]);
  expect(await blobsHeld('edge', edgeOnly)).toEqual([false, false]);
  expect(await blobsHeld('family', child)).toEqual([true, true]);
  expect(await blobsHeld('family', sibling)).toEqual([false, false]);
  const pull = async (reference: string, arch: string) =>
    (await pullWithSkopeo(world.proxyPrefix, imageIn(reference), { arch })).digest;
  expect(await pull(`app@${app.digest}`, 'amd64')).toBe(amd64.digest);
  expect(await pull(`edge@${edge.digest}`, 'arm64')).toBe(edgeOnly.digest);
  expect(await pull('edge:1', 'arm64')).toBe(edgeOnly.digest);
  expect(await pull(`family@${child.digest}`, 'arm64')).toBe(child.digest);

  // The arm64 node: fetched through, and kept from then on, by the image whose copy is more than 5 s old first (before that it counts as on its way).
  const kept = await world.cached(
    [pinned, imageIn('app:1')],
    ({ platformsPulled }) => platformsPulled !== undefined,
    async () => {
      expect(await pull(`app@${app.digest}`, 'arm64')).toBe(arm64.digest);
    },
  );
  expect(await blobsHeld('app', arm64)).toEqual([true, true]);
  expect(kept).toMatchObject({
    platforms: ['linux/amd64', 'linux/arm64'],
    platformsPulled: ['linux/arm64'],
    platformsOnDemand: ['linux/s390x'],
  });
  expect(await blobsHeld('app', s390x)).toEqual([false, false]);

  // The tag's time is over; the digest that is pinned still serves, upstream or not.
  await world.release('tagged');
  await world.gone(imageIn('app:1'));
  await world.upstream('down');
  for (const [arch, digest] of [
    ['amd64', amd64.digest],
    ['arm64', arm64.digest],
  ] as const)
    expect(await pull(`app@${app.digest}`, arch)).toBe(digest);
  expect((await world.pull('app', `manifests/${app.digest}`)).digest).toBe(app.digest);
}, 90_000);

it('lost: a layer of a platform that is kept comes back though nobody pulls it, and what is on demand stays there', async () => {
  await world.upstream('up');
  const [amd64, arm64] = (await Promise.all(
    ['linux/amd64', 'linux/arm64'].map((platform) => makeImage({ seed: `lost/${platform}`, platform, layers: LAYERS })),
  )) as [MadeImage, MadeImage];
  const image = indexOf([
    { image: amd64, platform: { os: 'linux', architecture: 'amd64' } },
    { image: arm64, platform: { os: 'linux', architecture: 'arm64' } },
  ]);
  await world.push('lost', ['1'], image);
  await world.hold('lost', imageIn('lost:1'));
  const before = await world.cached(imageIn('lost:1'), ({ platformsOnDemand }) => platformsOnDemand !== undefined);
  const layer = amd64.blobs.at(-1)!;
  world.loseFromCache('lost', layer.digest);
  expect(await blobsHeld('lost', amd64)).toEqual([true, false]);
  await world.cached(imageIn('lost:1'), ({ copiedAt }) => copiedAt! > before.copiedAt!);
  expect(await blobsHeld('lost', amd64)).toEqual([true, true]);
  expect(await blobsHeld('lost', arm64)).toEqual([false, false]);
}, 60_000);
