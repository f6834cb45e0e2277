import { randomBytes } from 'node:crypto';
import { createNkeySeed, publicNkey } from '@kuik/contracts';
import { createAuthority } from '@kuik/runtime';
import type { KeySource } from './plan-keys.ts';

const REGISTRY_KEY_DAYS = 3650;

/** Fresh keys from the system's randomness. */
export const randomKeys: KeySource = {
  nkeySeed: createNkeySeed,
  publicNkey: (seed) => publicNkey(seed.trim()),
  password: () => randomBytes(24).toString('base64url'),
  registryKey: (commonName) => createAuthority({ commonName, days: REGISTRY_KEY_DAYS, now: new Date() }),
};
