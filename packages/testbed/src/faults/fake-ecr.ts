import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { randomBytes } from 'node:crypto';
import type { AuthPolicy, HostUser } from './access.ts';

export interface FakeEcrOptions {
  /** How long a token lives, ms; Amazon's live for twelve hours. */
  readonly lifeMs: number;
  readonly now?: () => number;
}

/** Amazon's API for registry tokens, and the rule by which a registry of ours takes them: for as long as they live, not a moment longer. */
export interface FakeEcr {
  /** For `credentialProviders.ecr.endpoint`. */
  readonly url: string;
  /** For `FaultProxy.addHost`: its users are those whose tokens live now. */
  readonly auth: AuthPolicy;
  /** When each token was issued, ms. */
  readonly issued: readonly number[];
  /** Ends the life of every token that was issued so far. */
  revoke(): void;
  close(): Promise<void>;
}

const TARGET = 'AmazonEC2ContainerRegistry_V20150921.GetAuthorizationToken';

/** Starts it on a free port. Source: Amazon ECR API reference, GetAuthorizationToken (JSON 1.1 protocol). */
export async function startFakeEcr({ lifeMs, now = Date.now }: FakeEcrOptions): Promise<FakeEcr> {
  let tokens: { readonly user: HostUser; readonly untilMs: number }[] = [];
  const issued: number[] = [];
  const server = createServer((request, response) => {
    request.resume();
    const known = request.headers['x-amz-target'] === TARGET && request.headers.authorization !== undefined;
    if (!known) return void response.writeHead(400).end(JSON.stringify({ __type: 'UnknownOperationException' }));
    const password = randomBytes(24).toString('base64url');
    const untilMs = now() + lifeMs;
    issued.push(now());
    tokens.push({ user: { username: 'AWS', password }, untilMs });
    const authorizationToken = Buffer.from(`AWS:${password}`).toString('base64');
    response.writeHead(200, { 'content-type': 'application/x-amz-json-1.1' });
    response.end(JSON.stringify({ authorizationData: [{ authorizationToken, expiresAt: untilMs / 1000 }] }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    auth: {
      scheme: 'basic',
      get users() {
        tokens = tokens.filter(({ untilMs }) => untilMs > now());
        return tokens.map(({ user }) => user);
      },
    },
    issued,
    revoke: () => void (tokens = []),
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
