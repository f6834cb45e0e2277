/** What a request is about; `manifest-tag` and `manifest-digest` are told apart because registries treat them apart. */
export const REQUEST_KINDS = [
  'ping',
  'manifest-tag',
  'manifest-digest',
  'blob',
  'tags',
  'upload',
  'referrers',
  'token',
  'other',
] as const;
export type RequestKind = (typeof REQUEST_KINDS)[number];

/** A kind, or `manifest` for both of its kinds. */
export type KindPattern = RequestKind | 'manifest';

/** Which requests a rule is about; what is left out matches everything. */
export interface Match {
  readonly kind?: KindPattern | readonly KindPattern[];
  /** `GET`, `HEAD`.. */
  readonly method?: string | readonly string[];
  /** Glob: `*` is any run of characters, `/` included. */
  readonly repository?: string;
  /** Glob over the tag or digest in the path. */
  readonly reference?: string;
}

/** One thing that goes wrong. Each fills one slot of a request (see SLOTS); faults of different slots combine. */
export type Fault =
  /** Waits before anything else. */
  | { readonly do: 'latency'; readonly ms: number }
  /** Answers without asking the registry, with a spec-shaped error body unless `body` is given. */
  | {
      readonly do: 'answer';
      readonly status: number;
      /** OCI error code; by status when left out. */
      readonly code?: string;
      readonly message?: string;
      readonly headers?: Readonly<Record<string, string>>;
      readonly body?: string;
      /** Of `body`; default text/html, what captive portals and broken load balancers send. */
      readonly contentType?: string;
      /** Seconds. */
      readonly retryAfter?: number;
      /** Writes `retryAfter` as an HTTP date. */
      readonly retryAfterAsDate?: boolean;
      /** WWW-Authenticate of a 401; default the host's own scheme, Basic when it has none. */
      readonly challenge?: 'basic' | 'bearer' | 'none';
    }
  /** Accepts and never answers. */
  | { readonly do: 'hang' }
  /** Breaks the connection before any answer. */
  | { readonly do: 'reset' }
  /** Docker Hub's way: `ratelimit-*` headers on every manifest answer; GETs past `limit` get 429, with `Retry-After` (seconds) when that is given. HEADs cost nothing. */
  | { readonly do: 'quota'; readonly limit: number; readonly windowSeconds: number; readonly retryAfter?: number }
  /** 404 as for something that was deleted; a tag named exactly also leaves the tags list. */
  | { readonly do: 'gone' }
  /** The tag names another digest. */
  | { readonly do: 'serve'; readonly digest: string }
  /** Sends blobs to another origin: a name that this proxy serves too. */
  | { readonly do: 'redirect'; readonly to?: string; readonly status?: number }
  /** Sets and removes headers of the answer. Rules of this kind all apply. */
  | { readonly do: 'headers'; readonly set?: Readonly<Record<string, string>>; readonly remove?: readonly string[] }
  /** Answers 200 with the whole body to a Range request. */
  | { readonly do: 'ignore-range' }
  /** Breaks the connection after this many bytes of the body were sent. */
  | { readonly do: 'cut'; readonly atByte: number }
  /** Sends this many bytes of the body, then nothing more. */
  | { readonly do: 'stall'; readonly afterBytes: number }
  /** Sends this many bytes of the body, and the rest once the rule is cleared. */
  | { readonly do: 'hold'; readonly afterBytes: number }
  | { readonly do: 'drip'; readonly bytesPerSecond: number }
  /** Flips the bits of one byte of the body (default the first): same length, other digest. */
  | { readonly do: 'flip'; readonly atByte?: number }
  /** Leaves Content-Length out and sends the body chunked. */
  | { readonly do: 'chunked' };

export interface RuleInput {
  /** A host's name, or `*` for all. */
  readonly host: string;
  readonly match?: Match;
  readonly fault: Fault;
  /** Applies to this many requests, then never again. Default: until cleared. */
  readonly times?: number;
  /** Lets this many matching requests pass first. */
  readonly after?: number;
}

export interface Rule extends RuleInput {
  readonly id: string;
}

/** A rule and what became of it. */
export interface RuleState {
  readonly rule: Rule;
  /** Requests that matched while its slot was free. */
  readonly seen: number;
  /** Requests that it was applied to. */
  readonly applied: number;
}

/**
 * The slot that each fault fills: the newest matching rule takes it. Faults of stage `arrival` come before authorisation, those
 * of stage `content` only meet requests that the host lets in, so that a challenge never uses up a `times(1)`.
 */
export const SLOTS = {
  latency: { slot: 'delay', stage: 'arrival' },
  answer: { slot: 'reply', stage: 'arrival' },
  hang: { slot: 'reply', stage: 'arrival' },
  reset: { slot: 'reply', stage: 'arrival' },
  quota: { slot: 'quota', stage: 'content' },
  gone: { slot: 'target', stage: 'content' },
  serve: { slot: 'target', stage: 'content' },
  redirect: { slot: 'target', stage: 'content' },
  headers: { slot: 'headers', stage: 'content' },
  'ignore-range': { slot: 'range', stage: 'content' },
  cut: { slot: 'end', stage: 'content' },
  stall: { slot: 'end', stage: 'content' },
  hold: { slot: 'hold', stage: 'content' },
  drip: { slot: 'pace', stage: 'content' },
  flip: { slot: 'bytes', stage: 'content' },
  chunked: { slot: 'framing', stage: 'content' },
} as const satisfies Record<Fault['do'], { slot: string; stage: Stage }>;

export type Stage = 'arrival' | 'content';
export type Slot = (typeof SLOTS)[Fault['do']]['slot'];
/** The faults that can fill a slot. */
export type FaultIn<S extends Slot> = Extract<
  Fault,
  { do: { [D in Fault['do']]: (typeof SLOTS)[D]['slot'] extends S ? D : never }[Fault['do']] }
>;
