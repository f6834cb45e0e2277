import {
  GRANTS_SECRET,
  NATS_SECRET,
  planKeys,
  REDIS_SECRET,
  REGISTRY_SECRET,
  secretOf,
  type KeySource,
} from './plan-keys.ts';
import type { SecretStore } from './secret-store.ts';
import { SERVICES } from '@kuik/contracts';

const NAMES = [...SERVICES.map(secretOf), NATS_SECRET, REDIS_SECRET, REGISTRY_SECRET, GRANTS_SECRET];
const ROUNDS = 5;

/**
 * Reads every Secret, plans, writes what differs. When another run was faster anywhere, its keys win: everything is read and planned again.
 * Returns what became of each Secret. Throws after a few lost rounds.
 */
export async function ensureKeys(store: SecretStore, source: KeySource): Promise<Record<string, string>> {
  const fates: Record<string, string> = {};
  for (let round = 0; round < ROUNDS; round += 1) {
    const plan = planKeys(await store.read(NAMES), source);
    let lost = false;
    for (const [name, files] of Object.entries(plan)) {
      const fate = await store.write(name, files);
      if (fate === 'lost') {
        lost = true;
        break;
      }
      fates[name] = fates[name] === 'created' ? 'created' : fate;
    }
    if (!lost) return fates;
  }
  throw new Error(`keys: another process changed the Secrets ${ROUNDS} times in a row; run the job again`);
}
