import { describe, expect, it } from '@jest/globals';
import { wantsPlatform } from './wanted-platforms.ts';

describe('wantsPlatform', () => {
  it.each<[readonly string[], string, boolean]>([
    [['linux/amd64'], 'linux/amd64', true],
    [['linux/amd64'], 'linux/arm64', false],
    [['linux/amd64', 'linux/arm64'], 'linux/arm64', true],
    [['linux/amd64'], 'windows/amd64', false],
    [['amd64'], 'linux/amd64', true],
    [['linux/x86_64'], 'linux/amd64', true],
    // Every variant, when none is named.
    [['linux/amd64'], 'linux/amd64/v3', true],
    [['linux/arm'], 'linux/arm/v6', true],
    [['linux/arm'], 'linux/arm/v7', true],
    [['linux/arm64'], 'linux/arm64/v8', true],
    // That one, when one is named.
    [['linux/arm/v7'], 'linux/arm/v6', false],
    [['linux/arm/v7'], 'linux/arm', true],
    [['linux/armhf'], 'linux/arm/v7', true],
    [['armel'], 'linux/arm/v7', false],
    [['linux/arm64/v8'], 'linux/arm64', true],
    [['linux/amd64/v2'], 'linux/amd64', false],
    [[], 'linux/amd64', false],
    [['linux/amd64'], 'not a platform', false],
  ])('%j wants %s: %s', (wanted, platform, is) => {
    expect(wantsPlatform(wanted, platform)).toBe(is);
  });
});
