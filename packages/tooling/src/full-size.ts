/** The variable by which `npm test -- --full` tells every suite to run at full size. */
export const FULL_SIZE_VARIABLE = 'KUIK_FULL';

/**
 * The size that a test runs at: the usual one, which keeps a run short, or the full one of `npm test -- --full`. A test that is scaled
 * down names both here and nowhere else, so that `git grep 'sized('` lists all of them.
 */
export function sized<T>({ usual, full }: { readonly usual: T; readonly full: T }): T {
  return process.env[FULL_SIZE_VARIABLE] === '1' ? full : usual;
}
