import {
  anchorTag,
  cacheTag,
  isDigest,
  parseReference,
  type Reference,
  toCacheRepository,
  tryParseReference,
} from '@kuik/image';
import {
  type CachedImage,
  type CopyJob,
  DAMAGED_MAX,
  FORCE_UPDATE_ANNOTATION,
  FORCE_UPDATE_ANNOTATION_V1,
  stanzaOf,
} from '@kuik/contracts';
import { type DescribedBefore, describedBefore } from './described-before.ts';
import type { Wanted } from './wanted.ts';

/** Why a job is not worked on; each reaches log and metric unchanged. */
export const SKIP_REASONS = {
  gone: 'ObjectGone',
  replaced: 'ObjectReplaced',
  deleting: 'ObjectDeleting',
  notReference: 'NotAReference',
  notEncodable: 'NotEncodable',
} as const;
export type SkipReason = (typeof SKIP_REASONS)[keyof typeof SKIP_REASONS];

export interface CopyTarget {
  readonly reference: Reference;
  /** What upstream is asked for: the digest when there is one, else the tag. */
  readonly upstreamReference: string;
  readonly cacheRepository: string;
  readonly cacheTag: string;
  /** Look at every blob although the tag is right: what the cache lost comes back. */
  readonly thorough: boolean;
  /** The digest that the resource says is there and a node did not find whole: it is looked at, and what it lacks comes back. */
  readonly verify?: string;
  /** Manifests and blobs whose bytes in the cache are said to be wrong, by nodes or by an earlier look: they are looked at again. */
  readonly doubted?: readonly string[];
  /** What is served whatever the tag says (`spec.pin`), and the tag that keeps it when the image's own moves on. */
  readonly pin?: { readonly digest: string; readonly tag: string };
  /** Part of it may be in the cache: a worker fell silent over this copy, or it was tried before. */
  readonly begun: boolean;
  /** The job had been worked on before, and nobody told what came of it: its tag may be there without what refers to it. */
  readonly takenOver?: true;
  /** What the resource says of the copy: one that is found as it was need not be read again. Absent: nothing that could be relied on. */
  readonly described?: DescribedBefore;
  /** What of an index is copied; absent: all. */
  readonly wanted?: Wanted;
  /** The admission that this copy follows, for the logs of others. */
  readonly requestId?: string;
}

export type JobVerdict = { do: 'copy'; target: CopyTarget } | { do: 'skip'; reason: SkipReason };

/**
 * Whether a job still means something when its turn comes, in this order: the object is gone; it was deleted and made anew (its
 * own job follows); it is being deleted; its image is no reference; it has no place in the cache. Else copy: whether bytes have
 * to move is the copy's own first question, unless a person forces it. `takenOver`: another worker had the job before.
 */
export function decideJob(job: CopyJob, image: CachedImage | undefined, takenOver = false): JobVerdict {
  if (image === undefined) return { do: 'skip', reason: SKIP_REASONS.gone };
  if (image.metadata.uid !== job.uid) return { do: 'skip', reason: SKIP_REASONS.replaced };
  if (image.metadata.deletionTimestamp !== undefined) return { do: 'skip', reason: SKIP_REASONS.deleting };
  if (tryParseReference(image.spec.sourceImage) === undefined) return { do: 'skip', reason: SKIP_REASONS.notReference };
  const reference = parseReference(image.spec.sourceImage);
  const cacheRepository = toCacheRepository(reference);
  if (cacheRepository === undefined) return { do: 'skip', reason: SKIP_REASONS.notEncodable };
  const { pin } = image.spec;
  const forced = forceWish(image) !== undefined;
  // A forced copy looks at everything as well, and follows the tag.
  const cache = stanzaOf(image, 'cache');
  const doubted = [...new Set([...(job.wrong ?? []), ...(cache?.damaged ?? [])])]
    .filter(isDigest)
    .slice(0, DAMAGED_MAX);
  // What was damaged may have been taken away since: then it is missing.
  const verify = (job.verify === true || doubted.length > 0) && !forced ? cache?.digest : undefined;
  const tag = cacheTag(reference);
  // A copy since then by another worker, which may have died before it said what it brought, or of what gc took away, is read anew.
  const isDoubtful = takenOver || stanzaOf(image, 'removal')?.removedAt !== undefined;
  const described = isDoubtful ? undefined : describedBefore(cache, tag);
  return {
    do: 'copy',
    target: {
      reference,
      upstreamReference: reference.digest ?? reference.tag!,
      cacheRepository,
      cacheTag: tag,
      thorough: forced,
      ...(verify === undefined ? {} : { verify }),
      ...(doubted.length === 0 ? {} : { doubted }),
      ...(pin !== undefined && isDigest(pin) ? { pin: { digest: pin, tag: anchorTag(pin) } } : {}),
      begun: takenOver || cache !== undefined,
      ...(takenOver ? { takenOver } : {}),
      ...(described === undefined ? {} : { described }),
      ...(job.platforms === undefined ? {} : { wanted: wantedOf(job.platforms, job.pulled, image) }),
      ...(job.requestId === undefined ? {} : { requestId: job.requestId }),
    },
  };
}

function wantedOf(platforms: readonly string[], pulled: readonly string[] = [], image: CachedImage): Wanted {
  return { platforms, pulled, pulledBefore: stanzaOf(image, 'cache')?.platformsPulled ?? [] };
}

/** The value of the annotation by which a person asks for a copy now (ours or kuik v1's); it stays until it was answered. */
export function forceWish({ metadata: { annotations = {} } }: CachedImage): string | undefined {
  return annotations[FORCE_UPDATE_ANNOTATION] ?? annotations[FORCE_UPDATE_ANNOTATION_V1];
}
