/** Repositories per blob that are worth remembering: one is enough, the others are for when it was removed meanwhile. */
export const PLACES_PER_BLOB = 3;

/** Which repositories hold a blob, by key, newest first. Bounded: the key that was named longest ago goes. */
export class RememberedPlaces {
  readonly #places = new Map<string, readonly string[]>();
  readonly #maxKeys: number;

  constructor(maxKeys: number) {
    this.#maxKeys = maxKeys;
  }

  /** Those of a key that are not among `except`. */
  find(key: string, except: readonly string[]): string[] {
    return (this.#places.get(key) ?? []).filter((place) => !except.includes(place));
  }

  add(key: string, place: string): void {
    const others = this.find(key, [place]);
    this.#places.delete(key);
    if (this.#places.size >= this.#maxKeys) this.#places.delete(this.#places.keys().next().value!);
    this.#places.set(key, [place, ...others].slice(0, PLACES_PER_BLOB));
  }
}
