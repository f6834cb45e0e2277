import { randomBytes } from 'node:crypto';
import { createAuthority } from '@kuik/runtime';
import { createUser, fromSeed } from 'nkeys.js';
import type { KeySource } from './plan-keys.ts';

const REGISTRY_KEY_DAYS = 3650;

/** Fresh keys from the system's randomness. */
export const randomKeys: KeySource = {
  nkeySeed: () => new TextDecoder().decode(createUser().getSeed()),
  publicNkey: (seed) => fromSeed(new TextEncoder().encode(seed.trim())).getPublicKey(),
  password: () => randomBytes(24).toString('base64url'),
  registryKey: (commonName) => createAuthority({ commonName, days: REGISTRY_KEY_DAYS, now: new Date() }),
};
