/** What a promise gave within `ms`, or that it was late; its late rejection is swallowed, an early one thrown. */
export async function within<T>(promise: Promise<T>, ms: number): Promise<{ late: false; value: T } | { late: true }> {
  promise.catch(() => undefined);
  let timer: NodeJS.Timeout | undefined;
  try {
    return await Promise.race([
      promise.then((value) => ({ late: false as const, value })),
      new Promise<{ late: true }>((resolve) => {
        timer = setTimeout(() => resolve({ late: true }), Math.max(0, ms));
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

/** `within` for promises whose failure does not matter. */
export async function settledWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const settled = promise.then(
    () => undefined,
    () => undefined,
  );
  return !(await within(settled, ms)).late;
}
