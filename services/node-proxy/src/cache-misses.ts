import { DAMAGED_MAX, type MissingContent } from '@kuik/contracts';
import { repositoryName } from '@kuik/image';
import type { Repository } from './pull-path.ts';

/** A manifest that was served from the cache, as it is in memory. */
export interface KnownManifest {
  readonly digest: string;
  readonly bytes: Buffer;
}

interface Missed {
  readonly atMs: number;
  /** It was asked for as one. */
  readonly manifest: boolean;
  readonly wrong: boolean;
}

/** Bounds of one report: more is left to the next miss. */
const MISSED_MAX = 1_000;
const REPORTED_MAX = 200;
/** Manifests read for one report, in bytes: some milliseconds. */
const READ_MAX = 4 * 1024 * 1024;

const DIGEST = /sha\d+:[0-9a-f]{64,128}$/;

/**
 * What the cache registry did not have when it was asked. Most of it was never there: what is told are the manifests that were asked for, and
 * those served from the cache on which a missed blob or manifest hangs. Which of them a resource calls cached is pod-watcher's to know. What it
 * has with wrong bytes is told likewise, and named.
 */
export class CacheMisses {
  #missed = new Map<string, Map<string, Missed>>();
  #count = 0;

  /** `what` was asked for: `name@digest` for a manifest, a digest for a blob; a tag tells nothing. `wrong`: it is there, and not what it should be. */
  add(repository: Repository, what: string, nowMs: number, { wrong = false }: { wrong?: boolean } = {}): void {
    const digest = DIGEST.exec(what)?.[0];
    if (digest === undefined) return;
    const name = repositoryName(repository);
    const missed = this.#missed.get(name) ?? new Map<string, Missed>();
    const before = missed.get(digest);
    if (before === undefined && this.#count >= MISSED_MAX) return;
    if (before === undefined) this.#count += 1;
    missed.set(digest, {
      atMs: nowMs,
      manifest: before?.manifest === true || what.includes('@'),
      wrong: before?.wrong === true || wrong,
    });
    this.#missed.set(name, missed);
  }

  /** What was missed since the last time. `known`: the manifests of a repository that are in memory, the most recently used first. */
  take(known: (repository: string) => readonly KnownManifest[]): MissingContent[] {
    const missing: MissingContent[] = [];
    let left = READ_MAX;
    const within = ({ bytes }: KnownManifest): boolean => {
      if (bytes.length > left) return false;
      left -= bytes.length;
      return true;
    };
    for (const [repository, missed] of this.#missed) {
      const asked = [...missed].filter(([, { manifest }]) => manifest).map(([digest]) => digest);
      const at = new Date(Math.max(...[...missed.values()].map(({ atMs }) => atMs))).toISOString();
      const wrong = [...missed].flatMap(([digest, one]) => (one.wrong ? [digest] : [])).slice(0, DAMAGED_MAX);
      const digests = new Set([...asked, ...holdersOf([...missed.keys()], known(repository).filter(within))]);
      const named = wrong.length === 0 ? {} : { wrong };
      for (const digest of digests) missing.push({ repository, digest, at, ...named });
    }
    this.#missed = new Map();
    this.#count = 0;
    return missing.slice(0, REPORTED_MAX);
  }
}

/**
 * The manifests that name one of these digests, those that name such a manifest, and so on. Each is read once, however much is missed: anybody
 * on the node may ask for digests that nobody has.
 */
export function holdersOf(digests: readonly string[], manifests: readonly KnownManifest[]): string[] {
  const unsettled = new Map(manifests.map(({ digest, bytes }) => [digest, namesOf(bytes)]));
  const wanted = new Set(digests);
  const found: string[] = [];
  for (let grew = true; grew;) {
    grew = false;
    for (const [digest, names] of unsettled) {
      if (!names.some((name) => name !== digest && wanted.has(name))) continue;
      unsettled.delete(digest);
      wanted.add(digest);
      found.push(digest);
      grew = true;
    }
  }
  return found;
}

function namesOf(bytes: Buffer): readonly string[] {
  return bytes.toString('latin1').match(/sha\d+:[0-9a-f]{64,128}/g) ?? [];
}
