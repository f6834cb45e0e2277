import {
  copyAskedAt,
  ERROR_CODES,
  explain,
  explainRefusal,
  remedyFor,
  stanzaOf,
  type CachedImage,
  type ErrorName,
  type UnreadSecret,
  type UpstreamStanza,
  type UpstreamState,
} from '@kuik/contracts';
import { tryParseReference } from '@kuik/image';
import type { AskedAs, RegistryErrorCode } from '@kuik/registry';
import { goneSinceOf } from './gone-since.ts';

/** What came of asking. `undecided`: refused without a credential while none could be had; that says nothing about the image. */
export type CheckResult =
  | {
      readonly kind: 'seen';
      readonly digest: string;
      /** It was asked for by digest: that says nothing about the tag. */
      readonly by?: 'digest' | undefined;
      /** Nothing is left of the quota: whoever pulls it now is refused. */
      readonly exhausted?: boolean | undefined;
    }
  | {
      readonly kind: 'failed';
      readonly code: RegistryErrorCode;
      readonly message: string;
      readonly retryAfterMs?: number | undefined;
      /** Whose credential was shown last; undefined: whoever pays for the check. */
      readonly askedAs?: AskedAs | undefined;
      /** Nothing is left of the quota, whatever else the registry said. */
      readonly exhausted?: boolean | undefined;
      /** Pull secrets that were tried (names), when the broker said so. */
      readonly tried?: readonly string[] | undefined;
      /** Pull secrets that gave no login, with what is wrong with each. */
      readonly unread?: readonly UnreadSecret[] | undefined;
      /** The digest that was asked for, which the tag names. */
      readonly digest?: string | undefined;
    }
  | { readonly kind: 'undecided'; readonly message: string };

export interface Judgement {
  readonly state: UpstreamState;
  readonly stanza: UpstreamStanza;
  /** Whether the resource has to tell: a transition, or a day since it last did. */
  readonly record: boolean;
  /** What the check says about the whole registry: leave it alone for `parkMs`, or it cannot be reached. */
  readonly host:
    { readonly do: 'go-on' } | { readonly do: 'park'; readonly parkMs: number } | { readonly do: 'back-off' };
}

const FAILURES: Readonly<Partial<Record<RegistryErrorCode, readonly [UpstreamState, ErrorName]>>> = {
  'not-found': ['Deleted', 'notFound'],
  unauthorized: ['Unauthorized', 'unauthorized'],
  forbidden: ['Unauthorized', 'forbidden'],
  'rate-limited': ['RateLimited', 'rateLimited'],
  refused: ['Unreachable', 'upstreamUnreachable'],
  dns: ['Unreachable', 'upstreamUnreachable'],
  timeout: ['Unreachable', 'upstreamTimeout'],
  tls: ['Error', 'tls'],
  'address-refused': ['Error', 'addressRefused'],
  'untrusted-host': ['Error', 'addressRefused'],
  'digest-mismatch': ['Error', 'badDigest'],
};

/** A registry that limits without saying for how long is left alone for this long. */
const DEFAULT_PARK_MS = 60_000;
/** What has not changed reaches the resource this often. */
const RECORD_MS = 24 * 3_600_000;

/**
 * The stanza that a check makes, and whether it is worth a write. An answer is Available, or Moved when a tag's digest is not the cached
 * one; a refusal keeps what was last seen, or since when nothing was, and one without any quota left is RateLimited, as in kuik v2. 429 parks the registry by its own word, no answer at all makes it back off.
 */
export function judge(image: CachedImage, result: Exclude<CheckResult, { kind: 'undecided' }>, now: number): Judgement {
  const before = stanzaOf(image, 'upstream');
  const at = new Date(now).toISOString();
  const forUid = image.metadata.uid;
  if (result.kind === 'seen') {
    const stanza = seenStanza(image, before, result, at);
    return { state: stanza.state, stanza, record: worthRecording(before, stanza, now), host: { do: 'go-on' } };
  }
  const { digest = before?.digest } = result;
  const [state, name] = failureOf(result);
  const parkMs = result.retryAfterMs ?? DEFAULT_PARK_MS;
  const limited = result.code === 'rate-limited';
  const goneSince = stillGoneSince(image, before) ?? (state === 'Deleted' ? at : undefined);
  const stanza: UpstreamStanza = {
    forUid,
    state,
    ...(digest === undefined ? {} : { digest }),
    ...(before?.lastSeen === undefined ? {} : { lastSeen: before.lastSeen }),
    ...(goneSince === undefined ? {} : { goneSince }),
    error: {
      code: ERROR_CODES[name].code,
      message: explainFailure(name, result, image.spec.sourceImage),
      at,
      ...(limited ? { retryAt: new Date(now + parkMs).toISOString() } : {}),
    },
  };
  const host = limited
    ? ({ do: 'park', parkMs } as const)
    : ({ do: state === 'Unreachable' ? 'back-off' : 'go-on' } as const);
  return { state, stanza, record: worthRecording(before, stanza, now), host };
}

/** What an answer makes of what was known. A tag that lied goes on lying until its digest was seen, or it names another one. */
function seenStanza(
  image: CachedImage,
  before: UpstreamStanza | undefined,
  { digest, by, exhausted }: Extract<CheckResult, { kind: 'seen' }>,
  at: string,
): UpstreamStanza {
  const forUid = image.metadata.uid;
  const lied = before?.error?.code === ERROR_CODES.tagLies.code;
  if (lied && by === undefined && before.digest === digest) return { ...before, error: { ...before.error!, at } };
  const stanza: UpstreamStanza = {
    forUid,
    state: hasMoved(image, digest) ? 'Moved' : 'Available',
    digest,
    lastSeen: at,
  };
  if (exhausted !== true) return stanza;
  const { code } = ERROR_CODES.rateLimited;
  const message = explain(
    `${image.spec.sourceImage} is there`,
    'nothing is left of the quota',
    ERROR_CODES.rateLimited.remedy,
  );
  return { ...stanza, state: 'RateLimited', error: { code, message, at } };
}

/** Without a quota nothing else counts. A digest that is not there although the tag names it: the image cannot be had, whatever the tag says. */
function failureOf({
  code,
  digest,
  exhausted,
}: Extract<CheckResult, { kind: 'failed' }>): readonly [UpstreamState, ErrorName] {
  if (exhausted === true) return ['RateLimited', 'rateLimited'];
  if (code === 'not-found' && digest !== undefined) return ['Deleted', 'tagLies'];
  return FAILURES[code] ?? ['Error', 'upstreamFailed'];
}

/** The registry's words without what our own sentence says already, and what they mean where they do not tell. */
function wordsOf(name: ErrorName, { message, code, digest }: Extract<CheckResult, { kind: 'failed' }>): string {
  const told = message.replace(/^cannot (?:read|access) \S+: /, '');
  if (name === 'tagLies') return `the tag names ${digest}, which the registry does not have (${told})`;
  if (name === 'rateLimited' && code !== 'rate-limited') return `nothing is left of the quota (${told})`;
  return told;
}

function explainFailure(name: ErrorName, result: Extract<CheckResult, { kind: 'failed' }>, image: string): string {
  const doing = `cannot check ${image}`;
  const said = wordsOf(name, result);
  const reference = tryParseReference(image);
  if (reference === undefined) return explain(doing, said, ERROR_CODES[name].remedy);
  if (result.tried !== undefined && (name === 'unauthorized' || name === 'forbidden')) {
    const { why, remedy } = explainRefusal(reference, result.tried, said, result.unread);
    return explain(doing, why, remedy);
  }
  return explain(doing, said, remedyFor(ERROR_CODES[name], reference.host));
}

/** Undefined, too, when a copy got it from upstream since. */
function stillGoneSince(image: CachedImage, before: UpstreamStanza | undefined): string | undefined {
  const goneSince = goneSinceOf(before);
  return goneSince !== undefined && (copyAskedAt(stanzaOf(image, 'cache')) ?? '') > goneSince ? undefined : goneSince;
}

/** A tag that names something else than what was copied. A reference with a digest cannot move. */
function hasMoved(image: CachedImage, digest: string): boolean {
  const cached = stanzaOf(image, 'cache')?.digest;
  const pinned = tryParseReference(image.spec.sourceImage)?.digest !== undefined;
  return !pinned && cached !== undefined && cached !== digest;
}

function worthRecording(before: UpstreamStanza | undefined, next: UpstreamStanza, now: number): boolean {
  if (before === undefined || before.state !== next.state || before.digest !== next.digest) return true;
  if (before.error?.code !== next.error?.code || before.goneSince !== next.goneSince) return true;
  const told = Math.max(Date.parse(before.lastSeen ?? '') || 0, Date.parse(before.error?.at ?? '') || 0);
  return now - told >= RECORD_MS;
}
