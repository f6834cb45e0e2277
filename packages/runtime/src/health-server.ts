import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import express from 'express';
import type { Router } from 'express';
import type { Metrics } from './metrics.ts';
import type { Part } from './port.ts';

/** A part that is not ready, and why. */
export interface NotReady {
  readonly part: string;
  readonly reason: string;
}

export interface HealthServerOptions {
  readonly host?: string;
  /** 0 lets the system choose; see `port` afterwards. */
  readonly port: number;
  readonly metrics: Metrics;
  /** Empty when everything is ready. */
  readonly notReady: () => readonly NotReady[];
  /** What a person should know though everything works; told beside readiness. */
  readonly warnings?: () => readonly NotReady[];
  /** Mounts admin routes beside the three of our own. */
  readonly routes?: (router: Router) => void;
}

/** /healthz (the process runs), /readyz (503 with reasons), /metrics. A part: start it first, so that it is closed last. */
export class HealthServer implements Part {
  readonly name = 'health';
  readonly #options: HealthServerOptions;
  #server: Server | undefined;

  constructor(options: HealthServerOptions) {
    this.#options = options;
  }

  /** The port it listens on; 0 before `start`. */
  get port(): number {
    return (this.#server?.address() as AddressInfo | null | undefined)?.port ?? 0;
  }

  async start(): Promise<void> {
    const server = createServer(this.#app());
    server.listen(this.#options.port, this.#options.host ?? '0.0.0.0');
    await once(server, 'listening');
    this.#server = server;
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    if (server === undefined) return;
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  }

  #app(): express.Express {
    const { metrics, notReady, warnings, routes } = this.#options;
    const app = express();
    app.disable('x-powered-by');
    app.get('/healthz', (_request, response) => {
      response.json({ status: 'ok' });
    });
    app.get('/readyz', (_request, response) => {
      const reasons = notReady();
      const told = warnings?.() ?? [];
      const ready = reasons.length === 0;
      response
        .status(ready ? 200 : 503)
        .json({ ready, notReady: reasons, ...(told.length === 0 ? {} : { warnings: told }) });
    });
    app.get('/metrics', async (_request, response) => {
      response.type(metrics.contentType).send(await metrics.render());
    });
    const router = express.Router();
    routes?.(router);
    app.use(router);
    return app;
  }
}
