// The shortest relay of HTTP bodies that Node can be: what a proxy in Node costs before it does anything of its own.
// Run: node bench/src/bare-relay.ts <port> <backend port>   (`startBareRelay` does)
import { connect, createServer, type Socket } from 'node:net';

const MiB = 1024 * 1024;
const [port, backend] = process.argv.slice(2).map(Number);

/** A kept connection to the backend: reads go into one buffer of its own, which the client is given before the next read. */
class Backend {
  readonly socket: Socket;
  readonly #buffer = Buffer.allocUnsafeSlow(MiB);
  #client: Socket | undefined;
  /** Bytes of the body that are still to come; -1: the head is. */
  #left = -1;
  #over: () => void = () => undefined;

  constructor() {
    this.socket = connect({
      port: backend!,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer: this.#buffer, callback: (bytes: number) => this.#took(bytes) },
    });
    this.socket.on('error', () => this.#client?.destroy());
    this.socket.on('close', () => this.#client?.destroy());
  }

  ask(client: Socket, head: string, over: () => void): void {
    this.#client = client;
    this.#left = -1;
    this.#over = over;
    this.socket.write(head, 'latin1');
  }

  #took(bytes: number): boolean {
    const client = this.#client!;
    const chunk = this.#buffer.subarray(0, bytes);
    if (this.#left === -1) {
      const end = chunk.indexOf('\r\n\r\n') + 4;
      // A head of a registry fits into one read.
      this.#left = end + Number(/\r\ncontent-length: *(\d+)/i.exec(chunk.toString('latin1', 0, end))![1]);
    }
    this.#left -= bytes;
    const done = this.#left === 0;
    let stopped = false;
    client.write(chunk, () => {
      if (stopped) this.socket.resume();
      if (done) this.#over();
    });
    // The buffer is the kernel's already, or it is read into again when it is.
    stopped = client.writableLength > 0 && !done;
    return !stopped;
  }
}

const idle: Backend[] = [];
createServer({ noDelay: true }, (client) => {
  client.on('error', () => client.destroy());
  client.on('data', (head: Buffer) => {
    const one = idle.pop() ?? new Backend();
    one.ask(client, head.toString('latin1').replace('Connection: close\r\n', ''), () => idle.push(one));
  });
}).listen(port, '127.0.0.1');
