import { lookup as systemLookup, type LookupAddress } from 'node:dns';
import { connect as connectTcp, isIP, type OnReadOpts, type Socket, type TcpSocketConnectOpts } from 'node:net';
import {
  checkServerIdentity,
  connect as connectTls,
  createSecureContext,
  rootCertificates,
  type SecureContext,
} from 'node:tls';
import { abortedError, networkError, RegistryError } from './errors.ts';
import { portOf } from './same-trust.ts';
import type { AddressPolicy } from './address-policy.ts';
import { insideName } from './proxy-choice.ts';
import { connectRequest, feed, headBefore, readHead } from './tunnel.ts';
import type { EgressProxy, RegistryEndpoint } from './port.ts';

/** Resolves a name to every address it has. */
export type Lookup = (hostname: string) => Promise<readonly LookupAddress[]>;

/** Everything one connection attempt needs to know. */
export interface Dial {
  /** Scheme, name and port as the server knows them. */
  url: URL;
  endpoint: RegistryEndpoint;
  policy: AddressPolicy;
  lookup: Lookup;
  timeoutMs: number;
  signal?: AbortSignal;
  /** Asked for a tunnel instead of connecting to the target. */
  proxy?: EgressProxy | undefined;
  /** Reads straight into the caller's buffers (node:net `onread`). */
  onread?: OnReadOpts;
}

/**
 * The only way out to a host: resolves once, refuses addresses that the policy forbids (unless the endpoint says where it is or
 * that it may be private), and connects to the very addresses that were checked, so that a second answer of DNS changes nothing.
 * Resolves with a connected (for https: handshaken and verified) socket. Throws RegistryError `address-refused`, `dns`, `refused`,
 * `tls`, `timeout` or `aborted`.
 */
export async function connect(dial: Dial): Promise<Socket> {
  const via = dial.proxy === undefined ? '' : ` through the proxy ${new URL(dial.proxy.url).host}`;
  const doing = `cannot connect to ${dial.url.host}${via}`;
  if (dial.signal?.aborted === true) throw abortedError(doing, dial.signal);
  const attempt = new Attempt();
  try {
    return await bounded(
      dial.proxy === undefined ? direct(dial, attempt) : tunnelled(dial, dial.proxy, attempt),
      dial,
      doing,
    );
  } catch (error) {
    attempt.giveUp();
    throw explained(dial, networkError(doing, error));
  }
}

/** The sockets of one attempt: what is opened after it was given up ends at once. */
class Attempt {
  readonly #sockets: Socket[] = [];
  #over = false;

  add(socket: Socket): void {
    this.#sockets.push(socket);
    if (this.#over) socket.destroy();
  }

  giveUp(): void {
    this.#over = true;
    for (const socket of this.#sockets) socket.destroy();
  }
}

async function direct(dial: Dial, attempt: Attempt): Promise<Socket> {
  const target = targetOf(dial);
  const addresses = await checkedAddresses(dial, target.host, `cannot connect to ${dial.url.host}`);
  const { url, endpoint, onread } = dial;
  const { socket, ready } = open(
    { url, trust: endpoint, ...(onread === undefined ? {} : { onread }) },
    { ...target, addresses },
  );
  attempt.add(socket);
  await ready;
  return socket;
}

/**
 * The proxy's own address is believed as it is: a person wrote it. The target's is the proxy's business; here only literals and names are
 * judged. TLS to the target runs inside the tunnel, so that a proxy sees no more than a name.
 */
async function tunnelled(dial: Dial, proxy: EgressProxy, attempt: Attempt): Promise<Socket> {
  const target = targetOf(dial);
  refuseInside(dial, target.host);
  const at = new URL(proxy.url);
  const name = at.hostname.replace(/^\[|\]$/g, '');
  const addresses = await resolve(dial, name, `cannot connect to the proxy ${at.host}`);
  const encrypted = dial.url.protocol === 'https:';
  const head = !encrypted && dial.onread !== undefined ? headBefore(dial.onread, at.host) : undefined;
  const outer = open(
    { url: at, trust: proxy, ...(head === undefined ? {} : { onread: head.onread }) },
    { host: name, port: Number(portOf(at)), addresses },
  );
  attempt.add(outer.socket);
  await outer.ready;
  const host = isIP(target.host) === 6 ? `[${target.host}]` : target.host;
  outer.socket.write(connectRequest(`${host}:${target.port}`, proxy.authorization), 'latin1');
  await (head === undefined
    ? readHead(outer.socket, at.host)
    : Promise.race([head.whole, closedBefore(outer.socket, at.host)]));
  if (!encrypted) return outer.socket;
  const { socket, ready } = secure({ url: dial.url, trust: dial.endpoint }, { socket: outer.socket });
  attempt.add(socket);
  await ready;
  if (dial.onread !== undefined) feed(socket, dial.onread);
  return socket;
}

function closedBefore(socket: Socket, proxy: string): Promise<never> {
  return new Promise((_, reject) => {
    socket.once('close', () => reject(new RegistryError('refused', `the proxy ${proxy} closed the connection`)));
  });
}

/** Resolver over the system's own configuration (getaddrinfo). */
export const lookupSystem: Lookup = (hostname) =>
  new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true, verbatim: true }, (error, found) => (error ? reject(error) : resolve(found)));
  });

function targetOf(dial: Dial): { host: string; port: number } {
  const { address } = dial.endpoint;
  const text = address === undefined ? dial.url.href : `tcp://${address}`;
  const own = URL.canParse(text) ? new URL(text) : undefined;
  if (own === undefined || own.hostname === '') {
    throw new RegistryError('rejected', `registries."${dial.url.host}".address is "${address}": write it as host:port`);
  }
  const port = own.port !== '' ? own.port : portOf(dial.url);
  return { host: own.hostname.replace(/^\[|\]$/g, ''), port: Number(port) };
}

async function resolve(dial: Dial, host: string, doing: string): Promise<readonly LookupAddress[]> {
  const literal = isIP(host);
  let found: readonly LookupAddress[];
  try {
    found = literal === 0 ? await dial.lookup(host) : [{ address: host, family: literal }];
  } catch (error) {
    throw networkError(`${doing}: cannot resolve ${host}`, error);
  }
  if (found.length === 0) throw new RegistryError('dns', `${doing}: ${host} has no address`);
  return found;
}

async function checkedAddresses(dial: Dial, host: string, doing: string): Promise<readonly LookupAddress[]> {
  const found = await resolve(dial, host, doing);
  if (mayBeInside(dial)) return found;
  const allowed = found.filter(({ address }) => dial.policy.refuses(address) === undefined);
  if (allowed.length > 0) return allowed;
  const why = dial.policy.refuses(found[0]!.address);
  throw new RegistryError('address-refused', `${doing}: it resolves to ${found[0]!.address} (${why}); ${remedy(dial)}`);
}

function refuseInside(dial: Dial, host: string): void {
  if (mayBeInside(dial)) return;
  const why = isIP(host) === 0 ? insideName(host) : dial.policy.refuses(host);
  if (why === undefined) return;
  throw new RegistryError(
    'address-refused',
    `cannot connect to ${dial.url.host}: ${host} is refused (${why}); ${remedy(dial)}`,
  );
}

function mayBeInside({ endpoint }: Dial): boolean {
  return endpoint.allowPrivate === true || endpoint.address !== undefined;
}

function remedy({ url }: Dial): string {
  return `set registries."${url.host}".allowPrivate or .address if that is meant`;
}

/** Says which setting a certificate that is not trusted wants. */
function explained(dial: Dial, error: RegistryError): RegistryError {
  if (error.code !== 'tls') return error;
  const proxied =
    dial.proxy === undefined ? '' : ' (or httpProxy.caFile, if it is the proxy that re-signs or speaks TLS)';
  const message = `${error.message}; set registries."${dial.url.host}".caFile to the CA that signed its certificate${proxied}, or .insecureSkipVerify`;
  return new RegistryError('tls', message, { cause: error.cause });
}

/** One connection: whom it is with, and whose certificates count. */
interface Peer {
  readonly url: URL;
  readonly trust: Pick<RegistryEndpoint, 'ca' | 'insecureSkipVerify'>;
  readonly onread?: OnReadOpts;
}

function open(peer: Peer, target: { host: string; port: number; addresses: readonly LookupAddress[] }) {
  const { addresses } = target;
  const options: TcpSocketConnectOpts = {
    host: target.host,
    port: target.port,
    autoSelectFamily: addresses.length > 1,
    // A literal host skips `lookup`; a name gets what was checked, and nothing else.
    lookup: (_host, options, callback) => {
      if (options.all === true) callback(null, [...addresses]);
      else callback(null, addresses[0]!.address, addresses[0]!.family);
    },
    ...(peer.onread === undefined ? {} : { onread: peer.onread }),
  };
  return peer.url.protocol === 'https:' ? secure(peer, options) : watched(connectTcp(options), peer, 'connect');
}

/** TLS, over a connection of its own or inside a tunnel. */
function secure(peer: Peer, over: TcpSocketConnectOpts | { socket: Socket }) {
  const name = peer.url.hostname.replace(/^\[|\]$/g, '');
  const socket = connectTls({
    ...over,
    ...(peer.onread === undefined ? {} : { onread: peer.onread }),
    servername: isIP(name) === 0 ? name : '',
    secureContext: secureContextOf(peer.trust),
    rejectUnauthorized: peer.trust.insecureSkipVerify !== true,
    checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
    ALPNProtocols: ['http/1.1'],
  });
  return watched(socket, peer, 'secureConnect');
}

function watched(socket: Socket, peer: Peer, readyEvent: 'connect' | 'secureConnect') {
  socket.setNoDelay(true);
  const ready = new Promise<void>((resolve, reject) => {
    // Stays: an error between here and the owner's own listener must not end the process.
    socket.on('error', reject);
    socket.once('close', () =>
      reject(new RegistryError('refused', `cannot connect to ${peer.url.host}: closed by the peer`)),
    );
    socket.once(readyEvent, () => resolve());
  });
  return { socket, ready };
}

const contexts = new WeakMap<object, SecureContext>();
let publicContext: SecureContext | undefined;

/** Loading the roots takes milliseconds: once per endpoint, not once per connection. */
function secureContextOf(endpoint: Peer['trust']): SecureContext {
  if (endpoint.ca === undefined) return (publicContext ??= createSecureContext());
  let context = contexts.get(endpoint);
  if (context === undefined) {
    context = createSecureContext({ ca: [...rootCertificates, endpoint.ca] });
    contexts.set(endpoint, context);
  }
  return context;
}

function bounded<T>(work: Promise<T>, dial: Dial, doing: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(abortedError(doing, dial.signal));
    const over = (): void =>
      reject(new RegistryError('timeout', `${doing}: no connection within ${Math.ceil(dial.timeoutMs)} ms`));
    // Behind what came while the process was busy with something else.
    const timer = setTimeout(() => setImmediate(over), dial.timeoutMs);
    dial.signal?.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      dial.signal?.removeEventListener('abort', abort);
    });
  });
}
