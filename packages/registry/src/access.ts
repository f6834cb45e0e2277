import { DEFAULTS, FIXED } from '@kuik/contracts';
import { isRepositoryPath } from '@kuik/image';
import { createAddressPolicy } from './address-policy.ts';
import { BufferPool } from './buffer-pool.ts';
import { CacheAuthorizer, CacheTokens } from './cache-token.ts';
import { lookupSystem, type Lookup } from './connect.ts';
import { endpointOf, locateRegistry, type RegistryLocation } from './endpoints.ts';
import { RegistryError } from './errors.ts';
import { foreignLayer } from './foreign-layer.ts';
import { HttpClient } from './http-client.ts';
import { RawClient } from './raw-client.ts';
import { repositoryClient } from './repository-client.ts';
import { CACHE_TIMEOUTS, UPSTREAM_TIMEOUTS, type Timeouts } from './timeouts.ts';
import { TokenServers } from './token-servers.ts';
import { TokenCache } from './tokens.ts';
import { AuthMemory, UpstreamAuthorizer } from './upstream-authorizer.ts';
import { ExpiringMap } from './expiring-map.ts';
import { exchangePullToken, type Front } from './pull-token.ts';
import { exchangeAtAzure } from './acr-exchange.ts';
import { chooseProxy, type ProxyRule } from './proxy-choice.ts';
import type {
  CacheEndpoint,
  EgressProxy,
  PullTokenExchange,
  RefreshTokenExchange,
  RegistryAccess,
  RegistryEndpoint,
  RegistryMap,
} from './port.ts';
import type { OriginBreakers } from './origin-breakers.ts';
import type { RegistryEvent, RepositoryContext } from './repository-requests.ts';

/** What may change while a process runs. */
export interface RegistrySettings {
  registries?: RegistryMap;
  /** The proxy for whatever names none of its own; never for our cache. */
  httpProxy?: ProxyRule | undefined;
  /** CIDRs refused beyond (or allowed in spite of) the private ranges: the cluster's pods, services and nodes. */
  addressPolicy?: { refuse?: readonly string[]; allow?: readonly string[] };
}

export interface RegistryAccessOptions extends RegistrySettings {
  /** Bounds in ms, for registries of others and for our cache. */
  upstream?: Partial<Timeouts>;
  cache?: Partial<Timeouts>;
  bufferPoolBytes?: number;
  bufferMaxBytes?: number;
  bufferMinBytes?: number;
  manifestMaxBytes?: number;
  userAgent?: string;
  lookup?: Lookup;
  /** Wall clock in ms. */
  now?: () => number;
  /** Called once per request that ended. */
  observe?: (event: RegistryEvent) => void;
  /** Spare registries of others (never the cache) that do not answer; absent: each is waited for every time. */
  breakers?: OriginBreakers;
}

/** The part of an access by which changed settings are taken over. */
export interface Reconfigurable {
  /** Whatever connects from now on does so by these settings; what runs ends as it began. Throws on a malformed CIDR. */
  reconfigure(settings: RegistrySettings): void;
}

/** Connections of one kind: to registries of others by their map, or to one cache. */
interface Transport {
  http: HttpClient;
  raw: RawClient;
  endpointFor(url: URL): RegistryEndpoint;
}

type Cache = Transport & { tokens: CacheTokens | undefined; base: URL; endpoint: RegistryEndpoint };

/**
 * The door to every registry. Repositories opened from it share connections, tokens, challenges and the buffer pool, so opening one
 * costs nothing and can be done per request. Throws on a malformed CIDR.
 */
export function createRegistryAccess(
  options: RegistryAccessOptions = {},
): RegistryAccess & PullTokenExchange & RefreshTokenExchange & Reconfigurable {
  let { registries = {}, httpProxy } = options;
  const now = options.now ?? Date.now;
  let policy = createAddressPolicy(options.addressPolicy ?? {});
  const lookup = options.lookup ?? lookupSystem;
  const userAgent = options.userAgent ?? 'kube-image-keeper';
  const pool = new BufferPool({
    totalBytes: options.bufferPoolBytes ?? DEFAULTS.proxy.bufferPoolBytes,
    maxBytes: options.bufferMaxBytes ?? DEFAULTS.proxy.bufferMaxBytes,
    minBytes: options.bufferMinBytes ?? DEFAULTS.proxy.bufferMinBytes,
  });
  const transport = (
    timeouts: Timeouts,
    endpointFor: (url: URL) => RegistryEndpoint,
    proxyFor: (url: URL, endpoint: RegistryEndpoint) => EgressProxy | undefined = () => undefined,
    breakers?: OriginBreakers,
  ): Transport => {
    const dial = (url: URL) => {
      const endpoint = endpointFor(url);
      return { url, endpoint, policy, lookup, proxy: proxyFor(url, endpoint) };
    };
    return {
      http: new HttpClient({ dial, timeouts, userAgent, breakers }),
      raw: new RawClient({ dial, timeouts, pool, userAgent, breakers }),
      endpointFor,
    };
  };

  const endpoints = new Map<string, RegistryEndpoint>();
  const upstreamEndpoint = (url: URL): RegistryEndpoint => {
    const known = endpoints.get(url.origin);
    if (known !== undefined) return known;
    const endpoint = endpointOf(url, registries);
    if (endpoints.size > 10_000) endpoints.clear();
    endpoints.set(url.origin, endpoint);
    return endpoint;
  };
  const sites = new Map<string, RegistryLocation>();
  const siteOf = (host: string): RegistryLocation => {
    const known = sites.get(host);
    if (known !== undefined) return known;
    const site = locateRegistry(host, registries);
    if (sites.size > 10_000) sites.clear();
    sites.set(host, site);
    return site;
  };
  const proxyOf = (url: URL, endpoint: RegistryEndpoint) => chooseProxy(url, endpoint, httpProxy).proxy;
  const upstream = transport(
    { ...UPSTREAM_TIMEOUTS, ...options.upstream },
    upstreamEndpoint,
    proxyOf,
    options.breakers,
  );
  const tokenServers = new TokenServers(upstream.http, now);
  const memory = new AuthMemory(new TokenCache(tokenServers, now), now);
  const fronts = new ExpiringMap<Front>(1_000, now);
  const caches = new Map<string, Cache>();
  /** The same, by the object that a service asks with every time. */
  const cacheOfEndpoint = new WeakMap<CacheEndpoint, Cache>();

  const shared = (
    from: Transport,
    host: string,
    repository: string,
  ): Omit<RepositoryContext, 'site' | 'auth' | 'requestId' | 'headers'> => {
    if (!isRepositoryPath(repository))
      throw new RegistryError('rejected', `"${repository.slice(0, 300)}" is not a repository`);
    const manifestMaxBytes = options.manifestMaxBytes ?? FIXED.manifestMaxBytes;
    return {
      host,
      repository,
      http: from.http,
      raw: from.raw,
      endpointFor: (url) => from.endpointFor(url),
      manifestMaxBytes,
      now,
      observe: options.observe,
    };
  };

  const cacheOf = (cache: CacheEndpoint): Cache => {
    const seen = cacheOfEndpoint.get(cache);
    if (seen !== undefined) return seen;
    const key = JSON.stringify([
      cache.url,
      cache.ca,
      cache.signer?.issuer,
      cache.signer?.certificatePem,
      cache.signer?.actions,
      cache.timeouts,
    ]);
    let known = caches.get(key);
    if (known === undefined) {
      const base = new URL(cache.url);
      const endpoint: RegistryEndpoint = {
        allowPrivate: true,
        plainHTTP: base.protocol === 'http:',
        ...(cache.ca === undefined ? {} : { ca: cache.ca }),
        // The very list: who holds it may change it.
        ...(cache.trusted === undefined ? {} : { trusted: cache.trusted }),
      };
      // A cache that redirects to its object store names hosts of the operator: they may be private, too.
      const made = transport({ ...CACHE_TIMEOUTS, ...options.cache, ...cache.timeouts }, () => endpoint);
      known = {
        ...made,
        base,
        endpoint,
        tokens: cache.signer === undefined ? undefined : new CacheTokens(cache.signer, now),
      };
      caches.set(key, known);
    }
    cacheOfEndpoint.set(cache, known);
    return known;
  };

  return {
    upstream(host, repository, credentials, { requestId, background } = {}) {
      const site = siteOf(host);
      const auth = new UpstreamAuthorizer(site, host, repository, credentials, memory, { background });
      return repositoryClient({ ...shared(upstream, host, repository), site, auth, requestId });
    },
    cache(cache, repository, { requestId, headers } = {}) {
      const found = cacheOf(cache);
      const auth = new CacheAuthorizer(found.tokens, repository);
      return repositoryClient({ ...shared(found, found.base.host, repository), site: found, auth, requestId, headers });
    },
    foreignLayer(blob) {
      return foreignLayer(blob, (url) => ({
        ...shared(upstream, url.host, 'foreign-layers'),
        site: { base: new URL(url.origin), endpoint: upstream.endpointFor(url) },
      }));
    },
    async exchangePullToken(host, repository, credential, options) {
      const { http } = shared(upstream, host, repository);
      const site = locateRegistry(host, registries);
      return exchangePullToken({ site, host, repository, http, now, fronts, tokenServers }, credential, options);
    },
    async refreshTokenFor(host, accessToken, { signal } = {}) {
      return exchangeAtAzure(
        { site: locateRegistry(host, registries), host, http: upstream.http },
        accessToken,
        signal,
      );
    },
    reconfigure(settings) {
      // First what may throw: a mistake leaves everything as it was.
      policy = createAddressPolicy(settings.addressPolicy ?? {});
      ({ registries = {}, httpProxy } = settings);
      endpoints.clear();
      sites.clear();
      fronts.clear();
      upstream.http.renew();
      upstream.raw.renew();
    },
    async close() {
      for (const { http, raw } of [upstream, ...caches.values()]) {
        raw.close();
        await http.close();
      }
      pool.close();
    },
  };
}
