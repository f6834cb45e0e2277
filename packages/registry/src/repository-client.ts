import { headBlob, openBlob } from './blobs.ts';
import { deleteTag, headManifest, openManifest, putManifest } from './manifests.ts';
import { listReferrers } from './referrers.ts';
import { RepositoryRequests, type RepositoryContext } from './repository-requests.ts';
import { listTags } from './tags.ts';
import { continueUpload, startUpload } from './uploads.ts';
import type { RepositoryClient } from './port.ts';

/** The port over HTTP, for one repository. */
export function repositoryClient(context: RepositoryContext): RepositoryClient {
  const requests = new RepositoryRequests(context);
  return {
    host: context.host,
    repository: context.repository,
    headManifest: (reference, options) => headManifest(requests, reference, options?.signal),
    openManifest: (reference, options) => openManifest(requests, reference, options?.signal),
    headBlob: (digest, options) => headBlob(requests, digest, options?.signal),
    openBlob: (digest, request) => openBlob(requests, digest, request ?? {}),
    listTags: (options) => listTags(requests, options ?? {}),
    listReferrers: (digest, options) => listReferrers(requests, digest, options?.signal),
    putManifest: (reference, bytes, mediaType, options) =>
      putManifest(requests, reference, bytes, mediaType, options?.signal),
    deleteTag: (tag, options) => deleteTag(requests, tag, options?.signal),
    startUpload: (options) => startUpload(requests, options ?? {}),
    continueUpload: (location) => continueUpload(requests, location),
  };
}
