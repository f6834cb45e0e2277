import type { Bus } from '@kuik/bus';
import { MANIFEST_READ, type ManifestReadReply } from '@kuik/contracts';
import { digestOf, isDigest, parseDigest } from '@kuik/image';
import {
  RegistryError,
  type CredentialSource,
  type Manifest,
  type RegistryAccess,
  type RegistryErrorCode,
  type RepositoryClient,
} from '@kuik/registry';
import type { KnownHosts } from './known-hosts.ts';

export interface SpareUpstreamOptions {
  readonly registry: Pick<RegistryAccess, 'upstream'>;
  readonly hosts: Pick<KnownHosts, 'parkedMs' | 'counts' | 'left'>;
  /** Absent: every manifest is read by this node. */
  readonly bus?: Pick<Bus, 'request'> | undefined;
  /** How long a copier may take to read a manifest for all. */
  readonly sharedReadMs: number;
  /** A manifest was not asked for, because its registry limits us. */
  readonly onParked: () => void;
}

/**
 * Upstream registries, spared: without a credential a manifest of a registry that counts them is had from a copier, which reads it once for all
 * nodes, and of one that limits us it is not asked for at all: the client learns at once when to come back. HEADs and blobs cost no quota and
 * go on; whoever brings a credential has a quota of its own. What cannot be shared is read here: pulls wait for nobody of ours.
 */
export function spareUpstream(options: SpareUpstreamOptions): Pick<RegistryAccess, 'upstream'> {
  return {
    upstream(host, repository, credentials, origin) {
      const client = options.registry.upstream(host, repository, credentials, origin);
      return {
        ...client,
        openManifest: async (reference, request) => {
          if (await isAnonymous(client, credentials)) {
            const shared = await sharedManifest(options, client, reference);
            if (shared !== undefined) return shared;
            refuseParked(options, client);
          }
          return client.openManifest(reference, request);
        },
      };
    },
  };
}

async function isAnonymous({ host, repository }: RepositoryClient, source: CredentialSource): Promise<boolean> {
  const given = await source.credentials({ host, repository, actions: ['pull'] });
  return given.every(({ kind }) => kind === 'anonymous');
}

function refuseParked({ hosts, onParked }: SpareUpstreamOptions, { host, repository }: RepositoryClient): void {
  const parkedMs = hosts.parkedMs(host);
  if (parkedMs <= 0) return;
  onParked();
  const left = hosts.left(host);
  const quota = left === undefined ? '' : ` (${left})`;
  const message = `cannot read ${host}/${repository}: ${host} limits our requests${quota}`;
  throw new RegistryError('rate-limited', message, { retryAfterMs: parkedMs });
}

/** The manifest as a copier read it; undefined when it has to be read here. Throws what the registry told the copier. */
async function sharedManifest(
  { bus, hosts, sharedReadMs: timeoutMs }: SpareUpstreamOptions,
  { host, repository }: RepositoryClient,
  digest: string,
): Promise<Manifest | undefined> {
  if (bus === undefined || !isDigest(digest) || !hosts.counts(host)) return undefined;
  let reply: ManifestReadReply;
  try {
    reply = await bus.request(MANIFEST_READ, { host, repository, digest }, { timeoutMs });
  } catch {
    return undefined;
  }
  if ('refused' in reply) {
    const { code, message, retryAfterMs } = reply.refused;
    throw new RegistryError(code as RegistryErrorCode, message, retryAfterMs === undefined ? {} : { retryAfterMs });
  }
  if ('readYourself' in reply) return undefined;
  const bytes = Buffer.from(reply.bytes, 'base64');
  const { mediaType } = reply;
  // Whoever sent it: its name is its content.
  if (digestOf(bytes, parseDigest(digest)?.algorithm) !== digest) return undefined;
  return { digest, mediaType, size: bytes.length, bytes };
}
