import { connect } from 'node:net';
import { until } from '@kuik/testbed';

/** Resolves when something listens on the port of 127.0.0.1. */
export async function portAnswers(port: number): Promise<void> {
  const dial = (): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => {
        socket.destroy();
        resolve(true);
      });
      socket.on('error', () => resolve(false));
    });
  await until(dial, { what: `port ${port}` });
}
