/** A rule that the API server cannot go by, and what to do about it. */
export interface CelMistake {
  /** Where in the rules file: `['ignoreImages', 2]`. */
  readonly path: readonly (string | number)[];
  readonly reason: string;
}
