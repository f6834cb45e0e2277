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
import type { RegistryEndpoint } from './port.ts';

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
  const doing = `cannot connect to ${dial.url.host}`;
  if (dial.signal?.aborted === true) throw abortedError(doing, dial.signal);
  const started = performance.now();
  const target = targetOf(dial);
  const addresses = await bounded(checkedAddresses(dial, target.host, doing), dial, dial.timeoutMs, doing);
  const left = Math.max(1, dial.timeoutMs - (performance.now() - started));
  const { socket, ready } = open(dial, target, addresses);
  try {
    await bounded(ready, dial, left, doing);
  } catch (error) {
    socket.destroy();
    throw networkError(doing, error);
  }
  return socket;
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

async function checkedAddresses(dial: Dial, host: string, doing: string): Promise<readonly LookupAddress[]> {
  const literal = isIP(host);
  let found: readonly LookupAddress[];
  try {
    found = literal === 0 ? await dial.lookup(host) : [{ address: host, family: literal }];
  } catch (error) {
    throw networkError(`${doing}: cannot resolve ${host}`, error);
  }
  if (found.length === 0) throw new RegistryError('dns', `${doing}: ${host} has no address`);
  if (dial.endpoint.allowPrivate === true || dial.endpoint.address !== undefined) return found;
  const allowed = found.filter(({ address }) => dial.policy.refuses(address) === undefined);
  if (allowed.length > 0) return allowed;
  const why = dial.policy.refuses(found[0]!.address);
  throw new RegistryError(
    'address-refused',
    `${doing}: it resolves to ${found[0]!.address} (${why}); set registries."${dial.url.host}".allowPrivate or .address if that is meant`,
  );
}

function open(dial: Dial, target: { host: string; port: number }, addresses: readonly LookupAddress[]) {
  const options: TcpSocketConnectOpts = {
    host: target.host,
    port: target.port,
    autoSelectFamily: addresses.length > 1,
    // A literal host skips `lookup`; a name gets what was checked, and nothing else.
    lookup: (_host, options, callback) => {
      if (options.all === true) callback(null, [...addresses]);
      else callback(null, addresses[0]!.address, addresses[0]!.family);
    },
    ...(dial.onread === undefined ? {} : { onread: dial.onread }),
  };
  const encrypted = dial.url.protocol === 'https:';
  const name = dial.url.hostname.replace(/^\[|\]$/g, '');
  const socket: Socket = encrypted
    ? connectTls({
        ...options,
        servername: isIP(name) === 0 ? name : '',
        secureContext: secureContextOf(dial.endpoint),
        rejectUnauthorized: dial.endpoint.insecureSkipVerify !== true,
        checkServerIdentity: (_host, certificate) => checkServerIdentity(name, certificate),
        ALPNProtocols: ['http/1.1'],
      })
    : connectTcp(options);
  socket.setNoDelay(true);
  const ready = new Promise<void>((resolve, reject) => {
    // Stays: an error between here and the owner's own listener must not end the process.
    socket.on('error', reject);
    socket.once('close', () =>
      reject(new RegistryError('refused', `cannot connect to ${dial.url.host}: closed by the peer`)),
    );
    socket.once(encrypted ? 'secureConnect' : 'connect', () => resolve());
  });
  return { socket, ready };
}

const contexts = new WeakMap<RegistryEndpoint, SecureContext>();
let publicContext: SecureContext | undefined;

/** Loading the roots takes milliseconds: once per endpoint, not once per connection. */
function secureContextOf(endpoint: RegistryEndpoint): SecureContext {
  if (endpoint.ca === undefined) return (publicContext ??= createSecureContext());
  let context = contexts.get(endpoint);
  if (context === undefined) {
    context = createSecureContext({ ca: [...rootCertificates, endpoint.ca] });
    contexts.set(endpoint, context);
  }
  return context;
}

function bounded<T>(work: Promise<T>, dial: Dial, timeoutMs: number, doing: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const abort = () => reject(abortedError(doing, dial.signal));
    const timer = setTimeout(
      () => reject(new RegistryError('timeout', `${doing}: no connection within ${Math.ceil(dial.timeoutMs)} ms`)),
      timeoutMs,
    );
    dial.signal?.addEventListener('abort', abort, { once: true });
    work.then(resolve, reject).finally(() => {
      clearTimeout(timer);
      dial.signal?.removeEventListener('abort', abort);
    });
  });
}
