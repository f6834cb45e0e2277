/** The names of a library that is loaded lazily. Bundled, a CommonJS one has them in its default export alone; Node itself gives them twice. */
export async function loadLibrary<T extends object>(loading: Promise<T>): Promise<T> {
  const loaded = await loading;
  return (loaded as { readonly default?: T }).default ?? loaded;
}
