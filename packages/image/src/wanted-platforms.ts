import { parsePlatform } from './platform.ts';

/**
 * Whether an image's platform (`os/arch[/variant]`) is among the wanted ones. One that is wanted without a variant stands for every variant of its
 * architecture: what a node says of itself names none, and which of them it runs is its runtime's to choose.
 */
export function wantsPlatform(wanted: readonly string[], platform: string): boolean {
  const has = parsePlatform(platform);
  if (has === undefined) return false;
  return wanted.some((text) => {
    const one = parsePlatform(text);
    if (one?.os !== has.os || one.architecture !== has.architecture) return false;
    return !namesVariant(text) || one.variant === has.variant;
  });
}

/** `linux/arm/v7` and `armhf` do; `linux/arm` does not, though a manifest of that platform is one of `v7`. */
function namesVariant(text: string): boolean {
  return text.split('/').length === 3 || /(?:^|\/)(?:armhf|armel)$/i.test(text);
}
