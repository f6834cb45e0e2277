import { globSync } from 'node:fs';
import path from 'node:path';
import type { CachedImage } from '@kuik/contracts';
import { fromCacheRepository } from '@kuik/image';
import { cachedImages } from '../story/cached-images.ts';
import type { LocalStack } from '../stack/local-stack.ts';

/** What must be the same however often things died on the way: one line per image, sorted. */
export type EndState = readonly string[];

/** Where Distribution keeps its repositories, below its storage root. */
const REPOSITORIES = 'docker/registry/v2/repositories';

/**
 * Lists resources and every repository of the cache registry, also one that no resource names: reference, phase, cached digest,
 * conditions, and each tag with the digest it names.
 */
export async function endState(stack: LocalStack): Promise<EndState> {
  const images = [...(await cachedImages(stack.api))].map(([reference, image]) => describe(reference, image));
  const kept = globSync('**/_manifests', { cwd: path.join(stack.stack.cache.folder, REPOSITORIES) });
  const tags = await Promise.all(kept.map((folder) => tagsOf(stack, path.dirname(folder))));
  return [...images, ...tags.flat()].sort();
}

function describe(reference: string, image: CachedImage): string {
  const conditions = (image.status?.conditions ?? [])
    .map(({ type, status, reason }) => `${type}=${status}/${reason}`)
    .sort();
  const { phase, usedBy, cache } = image.status ?? {};
  return `image ${reference} ${phase} used by ${usedBy?.count} digest ${cache?.digest} error ${cache?.error?.code} ${conditions.join(' ')}`;
}

async function tagsOf(stack: LocalStack, repository: string): Promise<string[]> {
  if (fromCacheRepository(repository) === undefined) throw new Error(`not a cache repository: ${repository}`);
  const { cache } = stack.stack;
  const headers = { authorization: cache.authorization('reader', [{ repository, actions: ['pull'] }]) };
  const list = await fetch(`${cache.readerUrl}/v2/${repository}/tags/list`, {
    headers,
    signal: AbortSignal.timeout(5_000),
  });
  if (list.status === 404) return [`tags of ${repository}: none`];
  const { tags } = (await list.json()) as { tags: string[] | null };
  return Promise.all(
    (tags ?? []).map(async (tag) => {
      const head = await fetch(`${cache.readerUrl}/v2/${repository}/manifests/${tag}`, {
        method: 'HEAD',
        headers: { ...headers, accept: ACCEPT },
        signal: AbortSignal.timeout(5_000),
      });
      return `tag ${repository}:${tag} ${head.headers.get('docker-content-digest')}`;
    }),
  );
}

const ACCEPT = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** Lines that only one of two states has, marked `-` (expected) and `+` (seen). */
export function difference(expected: EndState, seen: EndState): string[] {
  return [
    ...expected.filter((line) => !seen.includes(line)).map((line) => `- ${line}`),
    ...seen.filter((line) => !expected.includes(line)).map((line) => `+ ${line}`),
  ];
}
