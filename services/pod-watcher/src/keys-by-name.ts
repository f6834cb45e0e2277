/** Which keys go by a name: the holders of a repository, the images of a host. A name is there as long as a key goes by it. */
export class KeysByName {
  readonly #keys = new Map<string, Set<string>>();

  add(name: string, key: string): void {
    const keys = this.#keys.get(name);
    if (keys === undefined) this.#keys.set(name, new Set([key]));
    else keys.add(key);
  }

  remove(name: string, key: string): void {
    const keys = this.#keys.get(name);
    if (keys?.delete(key) && keys.size === 0) this.#keys.delete(name);
  }

  clear(): void {
    this.#keys.clear();
  }

  has(name: string): boolean {
    return this.#keys.has(name);
  }

  of(name: string): readonly string[] {
    return [...(this.#keys.get(name) ?? [])];
  }
}
