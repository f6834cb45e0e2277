/** By what right a blob is read: `anonymous` needs nobody, `credential` is what the broker gave for the repository. */
export type Access = 'anonymous' | 'credential';

export interface Claimant {
  readonly path: string;
  readonly access: Access;
}

/** Who wants which bytes, and by what right. */
export interface TransferReader extends Claimant {
  readonly host: string;
  readonly digest: string;
  readonly offset?: number | undefined;
  /** Last byte, inclusive. */
  readonly end?: number | undefined;
  /** It may leave after a piece, and fetch other pieces beside it. */
  readonly pieces?: boolean | undefined;
  readonly requestId?: string | undefined;
  /** Put it into the cache, too; a copy does that itself. */
  readonly store: boolean;
}

/** Names what upstream was shown to allow. */
export function proofOf({ path, access }: Claimant): string {
  return `${path} ${access}`;
}

/** Whether upstream already showed the blob to this repository by this right. What needs nobody may be read with a credential as well. */
export function isProven(proven: ReadonlySet<string>, { path, access }: Claimant): boolean {
  return proven.has(proofOf({ path, access: 'anonymous' })) || proven.has(proofOf({ path, access }));
}
