/** As many are remembered besides the present one. */
export const FORMER_OWNERS_MAX = 3;

/** Of those who owned a transfer, the latest first, all but whoever asks. */
export function formerOwners(owners: readonly string[], address: string): string[] {
  return owners.filter((owner) => owner !== address).slice(0, FORMER_OWNERS_MAX);
}
