import { expect, it } from '@jest/globals';
import { expiryState } from './expiry-state.ts';
import { at, cachedImage, DAY, NOW, removalStanza, UID } from './testing/objects.ts';

const status = (count: number, more = {}) => ({ usedBy: { forUid: UID, count }, ...more });

it.each<[string, Parameters<typeof cachedImage>[0], string | undefined]>([
  ['used', { status: status(1) }, undefined],
  ["used, a person's date past", { spec: { expiresAt: at(-DAY) }, status: status(1) }, undefined],
  ['unused, the date to come', { status: status(0, { expiresAt: at(DAY) }) }, 'waiting'],
  ['unused, the date past', { status: status(0, { expiresAt: at(0) }) }, 'due'],
  [
    "unused, a person's date wins",
    { spec: { expiresAt: at(DAY) }, status: status(0, { expiresAt: at(0) }) },
    'waiting',
  ],
  ['unused and retained', { spec: { retain: true }, status: status(0, { expiresAt: at(0) }) }, undefined],
  ['unused without a date', { status: status(0) }, undefined],
  ['not described yet', {}, undefined],
  ['condemned', { status: status(0, { expiresAt: at(0), removal: removalStanza() }) }, 'condemned'],
])('%s', (_name, image, state) => {
  expect(expiryState(cachedImage(image), NOW)).toBe(state);
});
