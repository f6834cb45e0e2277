/** What a world has opened so far. */
export interface Opened {
  /** Has it closed at the end, the last one first. */
  add<T>(part: T, close: (part: T) => unknown): T;
}

/** Builds a world that leaves nothing open, also when it does not come to be. */
export async function openWorld<T extends object>(
  build: (opened: Opened) => Promise<T>,
): Promise<T & { stop(): Promise<void> }> {
  const closers: (() => unknown)[] = [];
  const stop = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  const opened: Opened = {
    add(part, close) {
      closers.push(() => close(part));
      return part;
    },
  };
  try {
    return Object.assign(await build(opened), { stop });
  } catch (error) {
    await stop();
    throw error;
  }
}
