/** As many are remembered besides the present one. */
export const FORMER_OWNERS_MAX = 3;

/** Of the spools of those who owned a transfer, the latest first, all but the asker's. */
export function formerOwners(spools: readonly string[], own: string): string[] {
  return spools.filter((spool) => spool !== own).slice(0, FORMER_OWNERS_MAX);
}
