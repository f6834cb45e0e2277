/** Where a CachedImage stands, derived from its stanzas; kuik v1's words where they existed. */
export const PHASES = [
  'Waiting',
  'Pulling',
  'Ready',
  'ErrImagePull',
  'Unavailable',
  'Expiring',
  'Terminating',
  'Duplicate',
] as const;
export type Phase = (typeof PHASES)[number];

/** What upstream says of an image. */
export const UPSTREAM_STATES = [
  'Unknown',
  'Available',
  'Moved',
  'Deleted',
  'Unauthorized',
  'RateLimited',
  'Unreachable',
  'Error',
] as const;
export type UpstreamState = (typeof UPSTREAM_STATES)[number];

/** Condition types of a CachedImage, each with its stable reasons. */
export const CONDITIONS = {
  Cached: ['Copied', 'Damaged', 'Copying', 'NotYetCopied', 'CopyFailed', 'Removed', 'NotAReference', 'NotEncodable'],
  UpToDate: ['DigestsEqual', 'TagMoved', 'Unknown'],
  UpstreamAvailable: UPSTREAM_STATES,
  Orphaned: ['UpstreamDeleted'],
  Held: ['InUse', 'Retained', 'HoldersUnknown', 'Unused'],
  Duplicate: ['SameReference'],
} as const;
export type ConditionType = keyof typeof CONDITIONS;
