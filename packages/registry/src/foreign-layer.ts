import type { Authorizer } from './authorizer.ts';
import { openBlob } from './blobs.ts';
import { RegistryError } from './errors.ts';
import type { Descriptor } from './plan.ts';
import type { OpenBlob, RepositoryClient } from './port.ts';
import { RepositoryRequests, type RepositoryContext } from './repository-requests.ts';

/** Nothing is sent to a host that a manifest names, whatever it asks for. */
const NO_CREDENTIALS: Authorizer = {
  first: () => Promise.resolve({ header: undefined }),
  next: () => Promise.resolve(undefined),
  accepted: () => undefined,
};

class OneUrl extends RepositoryRequests {
  readonly #url: URL;

  constructor(context: RepositoryContext, url: URL) {
    super(context);
    this.#url = url;
  }

  override blobUrl(): URL {
    return this.#url;
  }
}

/**
 * A layer that its registry may not hold, as a source of that one blob: read from the URLs of its descriptor (OCI image spec, descriptor.md),
 * the first that answers. Without credentials, through the same address policy as everything else, and hashed like everything else.
 */
export function foreignLayer(
  blob: Descriptor,
  contextOf: (url: URL) => Omit<RepositoryContext, 'auth' | 'requestId'>,
): RepositoryClient {
  const urls = (blob.urls ?? []).filter((text) => URL.canParse(text)).map((text) => new URL(text));
  const host = urls[0]?.host ?? 'nowhere';
  const refusal = (): RegistryError => new RegistryError('rejected', `${host}: a foreign layer is read, nothing else`);
  const cannot = (): Promise<never> => Promise.reject(refusal());
  return {
    host,
    repository: 'foreign-layers',
    openBlob: async (digest, request = {}): Promise<OpenBlob> => {
      let last: unknown = new RegistryError('rejected', `blob ${blob.digest}: none of its urls can be read`);
      for (const url of urls) {
        try {
          return await openBlob(requestsFor(url, contextOf), digest, request);
        } catch (error) {
          if (!(error instanceof RegistryError) || error.code === 'aborted') throw error;
          last = error;
        }
      }
      throw last;
    },
    // Where it is from says nothing of who may have it: never mounted from another repository, always read.
    headBlob: () => Promise.resolve(undefined),
    headManifest: cannot,
    openManifest: cannot,
    listTags: cannot,
    listReferrers: cannot,
    putManifest: cannot,
    deleteTag: cannot,
    startUpload: cannot,
    continueUpload: () => {
      throw refusal();
    },
  };
}

/** Throws RegistryError `untrusted-host` for what is not read over TLS, unless that host is configured otherwise. */
function requestsFor(url: URL, contextOf: Parameters<typeof foreignLayer>[1]): OneUrl {
  const web = url.protocol === 'https:' || url.protocol === 'http:';
  const context = web && url.username === '' && url.password === '' ? contextOf(url) : undefined;
  if (context === undefined || (url.protocol === 'http:' && context.site.endpoint.plainHTTP !== true))
    throw new RegistryError(
      'untrusted-host',
      `${url.host}: a foreign layer is read over https only, without a password`,
    );
  return new OneUrl({ ...context, auth: NO_CREDENTIALS, requestId: undefined }, url);
}
