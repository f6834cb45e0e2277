import { randomUUID } from 'node:crypto';
import { METRICS, TRANSFER_ACCESS_HEADER } from '@kuik/contracts';
import { toCacheRepository } from '@kuik/image';
import type { BlobTurns, TransferLeases, TurnHolders } from '@kuik/queue';
import {
  answeringProcess,
  BufferPool,
  NO_CREDENTIALS,
  readReadersCertificate,
  type CacheEndpoint,
  type RegistryAccess,
  type RepositoryClient,
  type UploadSessions,
} from '@kuik/registry';
import type { Part, ServiceContext } from '@kuik/runtime';
import type { CopierConfig } from '../config.ts';
import type { CopyCredentials, CopyOrigin } from '../credentials.ts';
import { bringingTurns } from './bringing-turns.ts';
import { FormerSpools } from './former-spools.ts';
import { ownerAlive, processName } from './owner-alive.ts';
import { Peers } from './peers.ts';
import type { TransferReader } from './proof.ts';
import { ReaderTokens } from './reader-token.ts';
import { renewedOnRefusal } from '../renewed-on-refusal.ts';
import { settleSpool } from './settle-spool.ts';
import { sharedSource } from './shared-source.ts';
import { SpoolRoom } from './spool-room.ts';
import { notedSessions, storeBlob } from './store-blob.ts';
import { ownAddress, TransferServer } from './transfer-server.ts';
import { Transfers } from './transfers.ts';

const READ_BUFFERS = { totalBytes: 32 * 1024 * 1024, maxBytes: 1024 * 1024, minBytes: 64 * 1024 };
/** What came last of each blob is given from memory: a reader that keeps up costs no read of the file. */
const BLOCK_BYTES = 256 * 1024;
const BLOCKS = { totalBytes: 16 * 1024 * 1024, maxBytes: BLOCK_BYTES, minBytes: BLOCK_BYTES };
/** A reader that takes nothing for this long is gone. */
const IDLE_MS = 120_000;

export interface OpenTransfersParts {
  readonly config: Pick<CopierConfig, 'transfers' | 'cache'>;
  readonly context: ServiceContext;
  readonly registry: RegistryAccess;
  readonly cache: CacheEndpoint;
  readonly credentials: (origin: CopyOrigin) => CopyCredentials;
  readonly turns: Pick<BlobTurns, 'of'>;
  readonly leases: TransferLeases;
  /** How long the registry of a host may take to answer. */
  readonly answerMs: (host: string) => number;
}

export interface OpenedTransfers {
  /** Upstream repositories as copies read them. */
  readonly share: (
    client: RepositoryClient,
    reader: Pick<TransferReader, 'host' | 'path' | 'requestId'>,
  ) => RepositoryClient;
  readonly sessions: UploadSessions;
  /** The turns of copies. */
  readonly turns: Pick<BlobTurns, 'of'>;
  /** The server, and what it gives away; to be started before whoever joins. */
  readonly part: Part;
  /** Where others reach us; known once the part is started. */
  readonly url: () => string;
  /** Tells this process from those before it at the same address. */
  readonly instance: string;
  /** Copiers as those that take turns. */
  readonly holders: TurnHolders;
}

/** Wires the transfers of one copier. Throws when a certificate cannot be read. */
export function openTransfers(parts: OpenTransfersParts): OpenedTransfers {
  const { config, context, registry, cache, credentials, turns, leases } = parts;
  const { log, metrics, clock } = context;
  const { listen, advertise, folder, spoolBytes, keep } = config.transfers;
  const [, host, port] = /^\[?(.*?)\]?:(\d+)$/.exec(listen)!;
  const cacheOf = (repository: Pick<TransferReader, 'host' | 'path'>): RepositoryClient | undefined => {
    const name = toCacheRepository(repository);
    return name === undefined ? undefined : registry.cache(cache, name);
  };
  const room = new SpoolRoom({ folder, totalBytes: spoolBytes, keepMs: keep });
  const buffers = new BufferPool(READ_BUFFERS);
  const blocks = new BufferPool(BLOCKS);
  const sessions = notedSessions(leases);
  const ending = new AbortController();
  const bytes = metrics.counter(METRICS.transferBytes);
  const joins = metrics.counter(METRICS.transferJoins);
  const stores = metrics.counter(METRICS.transferStores);
  const alive = ownerAlive(answeringProcess, () => clock.monotonic());
  const looks = metrics.counter(METRICS.transferLeft);
  const former = new FormerSpools({
    leases,
    alive,
    now: () => clock.monotonic(),
    count: (result) => looks.inc({ result }),
  });
  const instance = randomUUID();
  // Asked for with each blob, and a machine keeps its addresses: looked up once, when the port is known.
  let own: string | undefined;
  const url = (): string =>
    advertise ?? (server.port === 0 ? ownAddress(host!, 0) : (own ??= ownAddress(host!, server.port)));
  const peers = new Peers(cache, parts.answerMs);
  /** A repository as another copier gives it away. */
  const at = (
    copier: CacheEndpoint,
    { requestId, ...repository }: Pick<TransferReader, 'host' | 'path' | 'requestId'>,
    access: 'credential' | 'left',
  ): RepositoryClient =>
    registry.cache(copier, toCacheRepository(repository)!, {
      requestId,
      headers: { [TRANSFER_ACCESS_HEADER]: access },
    });
  const transfers = new Transfers({
    leases,
    room,
    buffers,
    memory: { pool: blocks, blockBytes: BLOCK_BYTES },
    address: url,
    alive,
    upstream: ({ host: from, path, access, requestId }) => {
      const origin = requestId === undefined ? {} : { requestId };
      if (access === 'anonymous') return registry.upstream(from, path, NO_CREDENTIALS, origin);
      return renewedOnRefusal(credentials({ ...origin, pull: true }), (source) =>
        registry.upstream(from, path, source, origin),
      );
    },
    cache: cacheOf,
    leftBy: (left, { digest, ...repository }) =>
      former.source(left, (address, request) =>
        at(peers.diskAt(address), repository, 'left').openBlob(digest, { ...request, verify: false }),
      ),
    onReached: (key, upTo) => void leases.reached(key, room.name, upTo),
    store: storeBlob({
      cache: cacheOf,
      turns,
      sessions,
      signal: ending.signal,
      count: (result) => stores.inc({ result }),
      log,
    }),
    onBytes: (from, count) => bytes.inc({ way: from }, count),
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    log,
  });
  const server = new TransferServer({
    listen: { host: host!, port: Number(port) },
    instance,
    tokens: tokensOf(config.cache, cache),
    copiers: cache.signer?.issuer,
    transfers,
    idleMs: IDLE_MS,
    count: (result) => joins.inc({ result }),
    onSent: (count) => bytes.inc({ way: 'readers' }, count),
    now: () => clock.now(),
    log,
  });
  const settled = settleSpool(leases, room.name, url);
  const [active, spooled] = [metrics.gauge(METRICS.transfersActive), metrics.gauge(METRICS.transferSpoolBytes)];
  metrics.onCollect(() => {
    active.set(transfers.active);
    spooled.set(room.usedBytes);
  });
  return {
    share: (client, reader) =>
      sharedSource(client, reader, {
        join: (wanted) => transfers.join(wanted),
        at: (address, wanted) => at(peers.at(address, wanted.host), wanted, 'credential'),
      }),
    sessions,
    turns: bringingTurns(turns, transfers),
    part: {
      name: 'transfers',
      async start() {
        await server.start();
        settled.start();
      },
      async close() {
        ending.abort();
        await settled.close();
        await transfers.close();
        await server.close();
        buffers.close();
        blocks.close();
      },
    },
    url,
    instance,
    holders: { name: () => processName(url(), instance), alive },
  };
}

/** Readers are proxies, by their key, and other copiers, by ours. */
function tokensOf(settings: CopierConfig['cache'], { signer }: CacheEndpoint): ReaderTokens | undefined {
  if (signer === undefined) return undefined;
  const readers = readReadersCertificate(settings);
  return new ReaderTokens({
    ...(readers === undefined ? {} : { 'kuik-r': readers }),
    [signer.issuer]: signer.certificatePem,
  });
}
