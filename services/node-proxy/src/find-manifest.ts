import { formatReference, type Reference, repositoryName } from '@kuik/image';
import type { ManifestHead } from '@kuik/registry';
import { BriefMemory, inTime } from '@kuik/runtime';
import { CacheDown, type CacheAccess, type CacheAsk, CacheMiss } from './cache-access.ts';
import type { CachedManifests } from './cached-manifests.ts';
import { failureOf, UpstreamFailure } from './failure.ts';
import { look } from './look.ts';
import type { Repository } from './pull-path.ts';
import {
  mayRun,
  NOTHING_SEEN,
  placeOf,
  REASONS,
  route,
  type Knowledge,
  type RouteRequest,
  type Step,
} from './route.ts';
import { Silences } from './silences.ts';
import { type CheckFailure, checkFailureOf, type TagChecks } from './tag-checks.ts';
import type { TagKnowledge } from './tag-knowledge.ts';
import type { UpstreamAccess } from './upstream-access.ts';
import { askedWithin } from './within-patience.ts';

/** A manifest, where it came from, and why from there. */
export interface FoundManifest {
  readonly digest: string;
  readonly mediaType: string;
  readonly size: number;
  /** Absent when only the head was asked for. */
  readonly bytes?: Buffer;
  readonly from: 'cache' | 'upstream';
  readonly fromMemory: boolean;
  readonly step: Step;
  /** The admission that brought the image into the cache, when its state tells. */
  readonly admission?: string;
}

type Read = Omit<FoundManifest, 'step' | 'admission'>;

/** What a pull is, and what it has met on its way. */
interface Asking {
  readonly headOnly: boolean;
  readonly requestId: string;
  /** Whether this place left the pull waiting already. */
  readonly isHung: (place: Pick<Step, 'from' | 'repository'>) => boolean;
  /** The cache failed beside the step that is under way. */
  readonly aside: (error: unknown, place: Pick<Step, 'from' | 'repository'>) => void;
}

export interface FindManifestOptions {
  readonly cache: CacheAccess;
  readonly manifests: CachedManifests;
  readonly upstream: UpstreamAccess;
  readonly tags: Pick<TagKnowledge, 'of' | 'known'>;
  /** How long what a tag names is remembered, upstream's and the cache's own. */
  readonly tagMemoryMs: number;
  /** How long upstream may think about a tag before the cache's own tag is looked at. */
  readonly patienceMs: number;
  /** How long a host that had no answer is given no patience. */
  readonly silentMs: number;
  readonly checks: TagChecks;
  /** How long upstream is waited for when it is asked whether a tag has moved. */
  readonly checkPatienceMs: number;
  /** Failures of such a question after which nothing that is kept is served. */
  readonly strict: ReadonlySet<CheckFailure>;
  /** Told what became of each such question, and of a tag (canonical reference) that names another digest now. */
  readonly onCheck: (result: 'same' | 'moved' | CheckFailure) => void;
  readonly onMoved: (reference: string, digest: string) => void;
  readonly now: () => number;
}

const REMEMBERED = 5_000;

/** Upstream named a digest and did not give its manifest within what was left of a check's time: it may be slow, or we are. It is not silent. */
class LateManifest extends UpstreamFailure {}

/** Finds manifests: asks `route` for the order, then asks each place in turn. */
export class FindManifest {
  readonly #options: FindManifestOptions;
  readonly #cacheTags: BriefMemory<ManifestHead>;
  readonly #upstreamTags: BriefMemory<ManifestHead>;
  readonly #upstreamBytes: BriefMemory<Read>;
  readonly #silences: Silences;

  constructor(options: FindManifestOptions) {
    this.#options = options;
    const { tagMemoryMs, now } = options;
    this.#silences = new Silences(options);
    this.#cacheTags = new BriefMemory({ forMs: tagMemoryMs, entries: REMEMBERED, now });
    this.#upstreamTags = new BriefMemory({ forMs: tagMemoryMs, entries: REMEMBERED, now });
    this.#upstreamBytes = new BriefMemory({ forMs: tagMemoryMs, entries: 32, now });
  }

  /** The first answer of the plan. Throws PullFailure when no place has one. */
  async find(request: RouteRequest, options: { headOnly: boolean; requestId: string }): Promise<FoundManifest> {
    const { tags, now } = this.#options;
    const { repositories, reference } = request;
    const named = 'tag' in reference ? repositories.map((one) => ({ ...one, tag: reference.tag })) : [];
    const knowledge = (await Promise.all(named.map((one) => tags.of(one)))).map((known, index) =>
      this.#verified(known, named[index]!),
    );
    const steps = route(request, knowledge, now());

    let seen = NOTHING_SEEN;
    const failures: unknown[] = [];
    const asking: Asking = {
      ...options,
      isHung: (place) => seen.hung.includes(placeOf(place)),
      aside: (error, place) => {
        if (error instanceof CacheDown) seen = look(seen, error, place);
      },
    };
    for (const [index, step] of steps.entries()) {
      if (!mayRun(step, this.#inMemory(step) ? { ...seen, hung: [] } : seen)) continue;
      try {
        const wanted = step.check === undefined ? 'upstreamSilent' : 'checkFailed';
        const fallback = steps.slice(index + 1).find((one) => one.when === wanted && !asking.isHung(one));
        const patient = step.from === 'upstream' && fallback !== undefined && !this.#mustSay(step);
        const found = await (patient ? this.#patiently(step, fallback, asking) : this.#read(step, asking));
        const admission = knowledge[repositories.indexOf(found.step.repository)]?.state?.requestId;
        return admission === undefined ? found : { ...found, admission };
      } catch (error) {
        failures.push(error);
        seen = look(seen, error, step);
        if (step.reason === REASONS.tagChecked && error instanceof UpstreamFailure) {
          if (this.#options.strict.has(checkFailureOf(error))) break;
          seen = { ...seen, checkFailed: true };
        }
      }
    }
    throw failureOf(failures, 'manifest');
  }

  /** What the first step of the plan finds in memory; undefined when anybody would have to be asked or waited for. */
  atOnce(request: RouteRequest): FoundManifest | undefined {
    const { manifests, tags, now } = this.#options;
    const { repositories, reference } = request;
    const knowledge: Knowledge[] = [];
    if ('tag' in reference) {
      for (const one of repositories) {
        const known = tags.known({ ...one, tag: reference.tag });
        if (known === undefined) return undefined;
        knowledge.push(this.#verified(known, { ...one, tag: reference.tag }));
      }
    }
    const [step] = route(request, knowledge, now());
    if (step?.from !== 'cache' || !step.reference.includes(':')) return undefined;
    const manifest = manifests.atOnce(step.repository, step.reference);
    if (manifest === undefined) return undefined;
    const { digest, mediaType, size, bytes } = manifest;
    const admission = knowledge[repositories.indexOf(step.repository)]?.state?.requestId;
    const found = { digest, mediaType, size, bytes, from: 'cache', fromMemory: true, step } as const;
    return admission === undefined ? found : { ...found, admission };
  }

  /** The cache has not to be asked, or only behind the answer. */
  #inMemory({ from, repository, reference }: Pick<Step, 'from' | 'repository' | 'reference'>): boolean {
    return from === 'cache' && reference.includes(':') && this.#options.manifests.holds(repository, reference);
  }

  /** With what upstream said of the tag, where that is asked. */
  #verified(known: Knowledge, tag: Reference): Knowledge {
    if (known.state?.check === undefined) return known;
    const verified = this.#options.checks.known(formatReference(tag), known.state.digest);
    return verified === undefined ? known : { ...known, verified };
  }

  /** What is kept would not be served for upstream's being slow. */
  #mustSay({ check }: Step): boolean {
    return check !== undefined && this.#options.strict.has('timeout');
  }

  /** Asks upstream, and looks at the cache's own tag when that takes long; whatever answers first is taken, upstream preferred. */
  async #patiently(step: Step, fallback: Step, asking: Asking): Promise<FoundManifest> {
    const { patienceMs } = this.#options;
    const { host } = step.repository;
    const asked = this.#read(step, asking).then(
      (found) => {
        this.#silences.end(host);
        return found;
      },
      (error: unknown) => {
        if (!(error instanceof LateManifest)) this.#silences.noteError(host, error);
        throw error;
      },
    );
    const silence = this.#silences.of(host, step.check !== undefined);
    // The time of a check is bounded where it is asked.
    if (silence === undefined && step.check !== undefined) return asked;
    const first = await inTime(silence === undefined ? patienceMs : 0, asked);
    if (!first.late) return first.value;
    this.#silences.note(host, silence?.failure ?? 'timeout');
    try {
      return await this.#read(fallback, asking);
    } catch (error) {
      asking.aside(error, fallback);
      return asked;
    }
  }

  async #read(step: Step, asking: Asking): Promise<FoundManifest> {
    const { repository, reference } = step;
    const { requestId } = asking;
    const ask: CacheAsk = { requestId, insist: step.lastResort };
    const isDigest = reference.includes(':');
    if (step.from === 'cache') {
      const digest = isDigest ? reference : (await this.#cacheTag(repository, reference, ask)).digest;
      return { ...(await this.#fromCache(repository, digest, ask)), step };
    }
    if (isDigest) {
      const patienceMs = this.#silences.of(repository.host, true) === undefined ? this.#options.checkPatienceMs : 0;
      const withinMs = step.reason === REASONS.tagChecked ? patienceMs : undefined;
      return { ...(await this.#fromUpstream(repository, reference, asking, withinMs)), step };
    }
    const startedMs = this.#options.now();
    const head = await (step.check === undefined
      ? this.#upstreamTag(repository, reference, requestId)
      : this.#checkedTag(step, step.check, requestId));
    const moved = step.check !== undefined && head.digest !== step.check.kept;
    // What the question took is gone from the time that the answer may take.
    const leftMs = Math.max(0, this.#options.checkPatienceMs - (this.#options.now() - startedMs));
    if (asking.headOnly && !moved) return { ...pick(head), from: 'upstream', fromMemory: false, step };
    // Upstream has said which digest; the cache may well have its bytes.
    const there = { from: 'cache', repository, reference: head.digest } as const;
    if (!asking.isHung(there) || this.#inMemory(there)) {
      try {
        return { ...(await this.#fromCache(repository, head.digest, ask)), step };
      } catch (error) {
        if (!(error instanceof CacheMiss) && !(error instanceof CacheDown)) throw error;
        asking.aside(error, there);
      }
    }
    return { ...(await this.#fromUpstream(repository, head.digest, asking, moved ? leftMs : undefined)), step };
  }

  async #fromCache(repository: Repository, digest: string, ask: CacheAsk): Promise<Read> {
    const { manifest, fromMemory } = await this.#options.manifests.get(repository, digest, ask);
    return { ...pick(manifest), bytes: manifest.bytes, from: 'cache', fromMemory };
  }

  /**
   * `withinMs`: a checked tag has moved on to it. Who is told so asks for it next, and kept bytes cannot stand for it then: it is told when it is in hand,
   * within what is left of the time of a check (what comes later is there for the next who asks). One that came late is not waited for again meanwhile.
   */
  async #fromUpstream(
    repository: Repository,
    digest: string,
    asking: Asking,
    withinMs: number | undefined,
  ): Promise<Read> {
    if (withinMs === undefined) return this.#askUpstream(repository, digest, asking);
    const { strict, silentMs } = this.#options;
    const asked = this.#askUpstream(repository, digest, { ...asking, headOnly: false }, silentMs);
    if (strict.has('timeout')) return asked;
    const { host } = repository;
    const manifest = manifestOf(host, digest);
    const noted = asked.catch((error: unknown) => {
      if (this.#silences.of(host, true) === undefined) this.#silences.noteError(host, error);
      throw error;
    });
    const silence = this.#silences.of(manifest, true);
    const answer = await inTime(silence === undefined ? withinMs : 0, noted);
    if (!answer.late) return answer.value;
    if (silence === undefined) this.#silences.note(manifest, 'timeout');
    const message = `upstream did not give ${repositoryName(repository)}@${digest} within ${withinMs} ms`;
    throw new LateManifest('timeout', message, { credentialUsed: false });
  }

  /** `forMs`: how long the answer is remembered. */
  #askUpstream(
    repository: Repository,
    digest: string,
    { headOnly, requestId }: Asking,
    forMs = this.#options.tagMemoryMs,
  ): Promise<Read> {
    const { upstream, now } = this.#options;
    const ask = async (): Promise<Read> => {
      const { bytes, ...head } = await upstream.ask<ManifestHead & { bytes?: Buffer }>(
        repository,
        requestId,
        (client) => (headOnly ? client.headManifest(digest) : client.openManifest(digest)),
      );
      // However late it is: who answers is not silent.
      for (const one of [repository.host, manifestOf(repository.host, digest)]) this.#silences.end(one);
      return { ...pick(head), ...(bytes === undefined ? {} : { bytes }), from: 'upstream', fromMemory: false };
    };
    const name = `${headOnly} ${repositoryName(repository)}@${digest}`;
    return this.#upstreamBytes.get(name, ask, { until: () => now() + forMs });
  }

  #cacheTag(repository: Repository, tag: string, ask: CacheAsk): Promise<ManifestHead> {
    const name = `${repositoryName(repository)}:${tag}`;
    return this.#cacheTags.get(name, () =>
      this.#options.cache.ask(repository, name, (client) => client.headManifest(tag), ask),
    );
  }

  async #checkedTag(
    { repository, reference }: Step,
    { everyMs, kept }: NonNullable<Step['check']>,
    requestId: string,
  ): Promise<ManifestHead> {
    const { checks, upstream, checkPatienceMs, onCheck, onMoved } = this.#options;
    const name = formatReference({ ...repository, tag: reference });
    return checks.check(name, kept, everyMs, async () => {
      try {
        const head = await askedWithin(checkPatienceMs, `say what ${name} is`, (signal) =>
          upstream.ask(repository, requestId, (client) => client.headManifest(reference, { signal })),
        );
        onCheck(head.digest === kept ? 'same' : 'moved');
        if (head.digest !== kept) onMoved(name, head.digest);
        return head;
      } catch (error) {
        if (error instanceof UpstreamFailure) onCheck(checkFailureOf(error));
        throw error;
      }
    });
  }

  #upstreamTag(repository: Repository, tag: string, requestId: string): Promise<ManifestHead> {
    return this.#upstreamTags.get(`${repositoryName(repository)}:${tag}`, () =>
      this.#options.upstream.ask(repository, requestId, (client) => client.headManifest(tag)),
    );
  }
}

function manifestOf(host: string, digest: string): string {
  return `${host} ${digest}`;
}

function pick({ digest, mediaType, size }: ManifestHead): ManifestHead {
  return { digest, mediaType, size };
}
