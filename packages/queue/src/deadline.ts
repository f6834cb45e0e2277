/** The work's outcome, or `late()` after `ms`. The work's own later failure is nobody's. */
export async function within<T>(ms: number, work: Promise<T>, late: () => T): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const expired = new Promise<'expired'>((resolve) => {
    timer = setTimeout(() => resolve('expired'), ms);
  });
  work.catch(() => undefined);
  try {
    const outcome = await Promise.race([work.then((value) => ({ value })), expired]);
    return outcome === 'expired' ? late() : outcome.value;
  } finally {
    clearTimeout(timer);
  }
}
