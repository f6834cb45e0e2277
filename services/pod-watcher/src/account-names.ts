import { createHash, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import type { Credential } from '@kuik/registry';
import { BriefMemory } from '@kuik/runtime';
import type { Candidate } from './candidates.ts';

const NAMES_KEPT = 10_000;
const NAME_BYTES = 16;
/** About 50 ms and 16 MiB for each try: https://www.rfc-editor.org/rfc/rfc7914 */
const SLOW = { N: 2 ** 14, r: 8, p: 1 };
const derived = promisify<string, string, number, typeof SLOW, Buffer>(scrypt);

/**
 * Names those for whom a registry counts: the same for every repository and secret with this login. What a provider gives is the cluster's, however often it
 * is renewed. A password is part of what is hashed, so that nobody finds the name by trying; slowly, since the name is told to others, who are not to find a
 * password by trying either.
 */
export class AccountNames {
  readonly #slow = new BriefMemory<string>({ forMs: Infinity, entries: NAMES_KEPT, now: () => 0 });

  async of(host: string, { of, label, credential }: Candidate): Promise<string> {
    if (of === 'provider') {
      const username = 'username' in credential ? credential.username : undefined;
      return hash([host, { of, label, username }]);
    }
    // Without its end: a token that names none is given a new one each time that it is read.
    const { expiresAtMs: _end, ...login } = { expiresAtMs: 0, ...credential };
    return credential.kind === 'basic' ? this.#slowly(host, credential) : hash([host, login]);
  }

  #slowly(host: string, { username, password }: Extract<Credential, { kind: 'basic' }>): Promise<string> {
    const login = JSON.stringify([username, password]);
    return this.#slow.get(hash([host, login]), async () =>
      (await derived(login, host, NAME_BYTES, SLOW)).toString('hex'),
    );
  }
}

function hash(parts: readonly unknown[]): string {
  return createHash('sha256')
    .update(JSON.stringify(parts))
    .digest('hex')
    .slice(0, 2 * NAME_BYTES);
}
