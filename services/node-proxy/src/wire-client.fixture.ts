import { connect, type Socket } from 'node:net';
import { until } from '@kuik/testbed';

/** A connection that tells what it got. */
export class WireClient {
  readonly socket: Socket;
  text = '';
  closed = false;

  constructor(port: number) {
    this.socket = connect(port, '127.0.0.1');
    this.socket.on('data', (chunk: Buffer) => (this.text += chunk.toString('latin1')));
    this.socket.on('error', () => undefined);
    this.socket.on('close', () => (this.closed = true));
  }

  send(text: string): void {
    this.socket.write(text);
  }

  /** What came since the last time, once it ends with `end`. */
  async answer(end: string): Promise<string> {
    await until(() => this.text.endsWith(end), { what: `an answer that ends with ${end}` });
    const { text } = this;
    this.text = '';
    return text;
  }
}

/** The smallest request that is plain. */
export const plain = (target: string): string => `GET ${target} HTTP/1.1\r\nHost: x\r\n\r\n`;
