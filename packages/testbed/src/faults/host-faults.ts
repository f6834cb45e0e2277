import type { AuthPolicy } from './access.ts';
import { FaultPicker, type RuleHandle, type RuleKeeper } from './fault-picker.ts';
import type { Match } from './rule.ts';

/** What can be done to one host besides rules. */
export interface HostKeeper extends RuleKeeper {
  setAuth(host: string, policy: AuthPolicy | undefined): Promise<void>;
  revokeTokens(host: string): void;
  setDown(host: string, down: boolean): Promise<void>;
  address(host: string): string;
  url(host: string): string;
  clearRules(host: string): void;
}

/** The script of one upstream: `hub.on({ kind: 'blob' }).cutAt(1000).times(2)`. */
export class HostFaults {
  readonly name: string;
  readonly #keeper: HostKeeper;

  constructor(name: string, keeper: HostKeeper) {
    this.name = name;
    this.#keeper = keeper;
  }

  /** `127.0.0.1:<port>`: where the host really is, as `registries.<host>.address` wants it. */
  get address(): string {
    return this.#keeper.address(this.name);
  }

  /** `https://127.0.0.1:<port>`: the same for a raw client. */
  get url(): string {
    return this.#keeper.url(this.name);
  }

  /** Says which requests are meant; without a match all of this host's. */
  on(match: Match = {}): FaultPicker {
    return new FaultPicker(this.#keeper, this.name, match);
  }

  /** From now on the tag names another digest of the same repository, in manifests and in the tags list. */
  moveTag(repository: string, tag: string, digest: string): RuleHandle {
    return this.on({ kind: 'manifest-tag', repository, reference: tag }).serve(digest);
  }

  /** From now on the tag is gone, from manifests and from the tags list; what it named stays. */
  deleteTag(repository: string, tag: string): RuleHandle {
    return this.on({ kind: 'manifest-tag', repository, reference: tag }).gone();
  }

  /** Who may read what; undefined opens the host to everybody. */
  auth(policy: AuthPolicy | undefined): Promise<void> {
    return this.#keeper.setAuth(this.name, policy);
  }

  /** Makes every token given out for this host invalid. */
  expireTokens(): void {
    this.#keeper.revokeTokens(this.name);
  }

  /** Breaks its connections and refuses new ones (on a shared port they are reset instead). */
  down(): Promise<void> {
    return this.#keeper.setDown(this.name, true);
  }

  /** Answers again, on the same port. */
  up(): Promise<void> {
    return this.#keeper.setDown(this.name, false);
  }

  /** Removes this host's rules; authorisation and down stay as they are. */
  clear(): void {
    this.#keeper.clearRules(this.name);
  }
}
