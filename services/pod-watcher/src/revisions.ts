import type { Revision } from './holder-view.ts';

/**
 * Which revisions of one owner nobody goes back to: all but the current one, the `kept` before it, and those that have pods. The newest has the
 * highest number; of equal numbers, the one that was made last.
 */
export function supersededOf(revisions: ReadonlyMap<string, Revision>, kept: number): Set<string> {
  const newestFirst = [...revisions].sort(([nameA, a], [nameB, b]) => {
    if (a.number !== b.number) return b.number - a.number;
    if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? 1 : -1;
    return nameA < nameB ? -1 : 1;
  });
  return new Set(newestFirst.slice(kept + 1).flatMap(([key, { active }]) => (active ? [] : [key])));
}

interface Family {
  readonly revisions: Map<string, Revision>;
  superseded: ReadonlySet<string>;
}

/** The revisions of every owner, kept up to date one by one: a change costs what its owner's revisions cost. */
export class Revisions {
  readonly #kept: number;
  readonly #families = new Map<string, Family>();

  constructor(kept: number) {
    this.#kept = kept;
  }

  /** Takes one in under its holder's key; returns the keys whose standing changed with it, its own left out. */
  put(key: string, revision: Revision): string[] {
    const family = this.#families.get(revision.owner) ?? { revisions: new Map(), superseded: new Set() };
    this.#families.set(revision.owner, family);
    family.revisions.set(key, revision);
    return this.#judge(family, key);
  }

  /** Forgets one; returns the keys whose standing changed with it. */
  remove(key: string, { owner }: Revision): string[] {
    const family = this.#families.get(owner);
    if (!family?.revisions.delete(key)) return [];
    if (family.revisions.size === 0) this.#families.delete(owner);
    return this.#judge(family, key);
  }

  superseded(key: string, { owner }: Revision): boolean {
    return this.#families.get(owner)?.superseded.has(key) ?? false;
  }

  #judge(family: Family, except: string): string[] {
    const before = family.superseded;
    family.superseded = supersededOf(family.revisions, this.#kept);
    const { superseded } = family;
    return [...family.revisions.keys()].filter((key) => key !== except && before.has(key) !== superseded.has(key));
  }
}
