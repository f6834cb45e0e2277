import {
  ERROR_CODES,
  knownRegistry,
  METRICS,
  SHARED_MANIFEST_MAX_BYTES,
  type ManifestReadReply,
  type ManifestReadRequest,
} from '@kuik/contracts';
import { isDigest } from '@kuik/image';
import type { Pacer, Payer, ReadOnce } from '@kuik/queue';
import {
  NO_CREDENTIALS,
  RegistryError,
  type Manifest,
  type RegistryAccess,
  type RepositoryClient,
} from '@kuik/registry';
import { BriefMemory, type Metrics } from '@kuik/runtime';

export interface CountedManifestsOptions {
  readonly registry: Pick<RegistryAccess, 'upstream'>;
  readonly once: Pick<ReadOnce, 'read'>;
  readonly pacer: Pick<Pacer, 'parkedUntil' | 'limited'>;
  readonly metrics: Metrics;
  /** Epoch and monotonic ms. */
  readonly now: () => number;
  readonly monotonic: () => number;
}

/** How long it is believed that a repository shows a manifest to strangers. */
const SHOWN_FOR_MS = 60_000;
const SHOWN_MAX = 5_000;

/**
 * Manifests of registries that count GETs: each is read once by all copiers together, for copies and for the nodes that ask. A digest is
 * no capability: what was read for somebody else is given out after a HEAD, which costs no quota, has shown that the registry
 * shows it in this repository to whoever asks.
 */
export class CountedManifests {
  readonly #options: CountedManifestsOptions;
  readonly #shown: BriefMemory<true>;

  constructor(options: CountedManifestsOptions) {
    this.#options = options;
    this.#shown = new BriefMemory({ forMs: SHOWN_FOR_MS, entries: SHOWN_MAX, now: options.monotonic });
  }

  /** The same client, which reads manifests together with everybody else when its registry counts them; `payer`: whom it counts them for. */
  shared(client: RepositoryClient, payer: () => Promise<Payer>): RepositoryClient {
    if (knownRegistry(client.host)?.countsManifests !== true) return client;
    return {
      ...client,
      openManifest: async (reference, request) => {
        const digest = isDigest(reference) ? reference : (await client.headManifest(reference, request)).digest;
        return this.#read(client, digest, await payer(), async () => {
          await client.headManifest(digest, request);
        });
      },
    };
  }

  /** A node's question, answered for strangers. Never throws. */
  async answer({ host, repository, digest }: ManifestReadRequest): Promise<ManifestReadReply> {
    const { registry, pacer, metrics } = this.#options;
    try {
      const client = registry.upstream(host, repository, NO_CREDENTIALS);
      const prove = async (): Promise<void> => {
        await this.#shown.get(`${host}/${repository}@${digest}`, () => client.headManifest(digest).then(() => true));
      };
      const { mediaType, bytes } = await this.#read(client, digest, { host }, prove);
      if (bytes.length > SHARED_MANIFEST_MAX_BYTES) return { readYourself: true };
      return { mediaType, bytes: bytes.toString('base64') };
    } catch (error) {
      if (!(error instanceof RegistryError) || error.code === 'aborted') return { readYourself: true };
      metrics.counter(METRICS.manifestsShared).inc({ how: 'refused' });
      const { code, message } = error;
      const limited = code === 'rate-limited';
      const retryAfterMs = limited
        ? await pacer.limited({ host }, { retryAfterMs: error.retryAfterMs, reason: ERROR_CODES.rateLimited.code })
        : error.retryAfterMs;
      const after = retryAfterMs === undefined ? {} : { retryAfterMs: Math.ceil(retryAfterMs) };
      return { refused: { code, message: message.slice(0, 2_000), ...after } };
    }
  }

  async #read(client: RepositoryClient, digest: string, payer: Payer, prove: () => Promise<void>): Promise<Manifest> {
    const { once, pacer, metrics, now } = this.#options;
    const { host } = client;
    const { mine, mediaType, bytes } = await once.read(`${host}:${digest}`, payer, async () => {
      const parkedUntil = await pacer.parkedUntil(payer);
      if (parkedUntil !== undefined) {
        const message = `cannot read ${host}/${client.repository}: ${host} limits our requests`;
        throw new RegistryError('rate-limited', message, { retryAfterMs: parkedUntil - now() });
      }
      return client.openManifest(digest);
    });
    metrics.counter(METRICS.manifestsShared).inc({ how: mine ? 'read' : 'remembered' });
    if (!mine) await prove();
    return { digest, mediaType, size: bytes.length, bytes };
  }
}
