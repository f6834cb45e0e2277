import { canonicalHost } from '@kuik/image';
import { Backing } from './backing.ts';
import type { AuthPolicy } from './access.ts';
import { makeCertificates, type CertificateMaker } from './certificates.ts';
import { startControl, type ControlServer } from './control.ts';
import type { Serving } from './exchange.ts';
import { RuleHandle } from './fault-picker.ts';
import { HostFaults, type HostKeeper } from './host-faults.ts';
import { Hosts, type HostState } from './hosts.ts';
import { Listener } from './listener.ts';
import { RequestLog } from './request-log.ts';
import { RuleBook } from './rule-book.ts';
import type { RuleInput, RuleState } from './rule.ts';
import { serveRequest } from './serve-request.ts';
import { Tokens } from './tokens.ts';
import { pushImage, type MadeImage, type PushedImage } from '../images/index.ts';

export interface FaultHostOptions {
  readonly name: string;
  /** Plain HTTP although the proxy has certificates. */
  readonly plainHTTP?: boolean;
  readonly auth?: AuthPolicy;
}

export interface FaultProxyOptions {
  /** The real registry: `http://127.0.0.1:5000`, anonymous. */
  readonly backingUrl: string;
  /** Repository prefix, so that several proxies can share one registry. */
  readonly prefix?: string;
  /** Names with a port of their own. Any other name works on the shared ports. */
  readonly hosts?: readonly (string | FaultHostOptions)[];
  /** Hosts speak TLS: `true` makes an authority of its own, else certificates by name and the PEM of the CA behind them. */
  readonly tls?: boolean | CertificateMaker;
  /** Name of the other origin that blobs are redirected to. Default `blobs.example.test`. */
  readonly origin?: string;
  /** The clock of token expiry, dates and records, in milliseconds. */
  readonly now?: () => number;
}

/** Where a host really is, in the shape of the product's `registries.<host>`. */
export interface FaultEndpoint {
  readonly address: string;
  readonly ca?: string;
  readonly plainHTTP?: boolean;
}

/** Starts the proxy in front of a running registry. Everything it opened is closed by `close()`. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const certificates = options.tls === true ? await makeCertificates() : options.tls;
  const proxy = new FaultProxy({ ...options, ...(certificates === undefined ? {} : { tls: certificates }) });
  try {
    await proxy.open(options.hosts ?? []);
  } catch (error) {
    await proxy.close();
    throw error;
  }
  return proxy;
}

/** Many named upstreams in front of one real registry, each of which can be scripted to fail. */
export class FaultProxy {
  readonly #certificates: CertificateMaker | undefined;
  readonly #hosts: Hosts;
  readonly #book = new RuleBook();
  readonly #tokens: Tokens;
  readonly #backing: Backing;
  readonly #plain: Listener;
  readonly #secure: Listener | undefined;
  readonly #serving: Serving;
  #control: ControlServer | undefined;
  /** Everything that was asked of any host. */
  readonly log = new RequestLog();
  /** Name of the blob origin. */
  readonly originName: string;

  constructor(options: FaultProxyOptions) {
    this.#certificates = typeof options.tls === 'object' ? options.tls : undefined;
    const now = options.now ?? Date.now;
    this.originName = options.origin ?? 'blobs.example.test';
    this.#hosts = new Hosts(this.#certificates !== undefined);
    this.#tokens = new Tokens(now);
    this.#backing = new Backing(options.backingUrl, options.prefix);
    this.#serving = {
      hosts: this.#hosts,
      book: this.#book,
      log: this.log,
      tokens: this.#tokens,
      backing: this.#backing,
      open: new Set(),
      origin: this.originName,
      now,
      urlOf: (host, byName) => this.#urlOf(host, byName),
    };
    this.#plain = this.#listener(undefined, false);
    this.#secure = this.#certificates === undefined ? undefined : this.#listener(undefined, true);
  }

  /** Opens the shared ports, the control endpoint, the blob origin and the named hosts. */
  async open(hosts: readonly (string | FaultHostOptions)[]): Promise<void> {
    await this.#plain.open();
    await this.#secure?.open();
    this.#control = await startControl(this);
    for (const host of [this.originName, ...hosts]) await this.addHost(host);
  }

  /** Shared port for every name, by Host header or as `/v2/<host>/<repository>/..`: plain HTTP, right for curl and skopeo. */
  get url(): string {
    return this.#plain.url;
  }

  /** The shared port with TLS, when there are certificates. */
  get tlsUrl(): string | undefined {
    return this.#secure?.url;
  }

  /** PEM of the CA that TLS clients must trust. */
  get ca(): string | undefined {
    return this.#certificates?.ca;
  }

  /** What `FAULTS_URL` names: rules, counts, down and up by HTTP and JSON. */
  get controlUrl(): string {
    return this.#control?.url ?? '';
  }

  /** Gives a name a port of its own. */
  async addHost(input: string | FaultHostOptions): Promise<HostFaults> {
    const { name: given, plainHTTP = false, auth } = typeof input === 'string' ? { name: input } : input;
    const name = hostName(given);
    const state = this.#hosts.get(name);
    if (state.listener === undefined) {
      state.tls = this.#certificates !== undefined && !plainHTTP;
      state.listener = this.#listener(name, state.tls);
      await state.listener.open();
    }
    const host = this.host(name);
    if (auth !== undefined) await host.auth(auth);
    return host;
  }

  /** The script of a name; `*` is all of them. */
  host(name: string): HostFaults {
    return new HostFaults(hostName(name), this.#keeper);
  }

  /** The blob origin: its requests show what headers followed a redirect, its rules make it fail. */
  get origin(): HostFaults {
    return this.host(this.originName);
  }

  /** Puts a rule in force that is given as data. */
  add(rule: RuleInput): RuleHandle {
    return new RuleHandle(this.#keeper.addRule(rule).id, this.#keeper);
  }

  rules(): readonly RuleState[] {
    return this.#book.states();
  }

  removeRule(id: string): boolean {
    return this.#book.remove(id);
  }

  hostNames(): string[] {
    return this.#hosts.all().map(({ name }) => name);
  }

  isDown(name: string): boolean {
    return this.#hosts.isKnown(name) && this.#hosts.get(name).down;
  }

  /** As it was after the start: no rules, no authorisation, every host up, nothing counted. */
  async reset(): Promise<void> {
    this.#book.clear();
    for (const host of this.#hosts.all()) {
      host.auth = undefined;
      if (host.down) await this.host(host.name).up();
    }
    this.log.reset();
  }

  /** Where every declared host really is: `registries` of a service's configuration. */
  registries(): Record<string, FaultEndpoint> {
    const declared = this.#hosts.all().filter(({ listener }) => listener !== undefined);
    return Object.fromEntries(
      declared.map(({ name, tls }) => [
        name,
        { address: this.host(name).address, ...(tls ? { ca: this.ca! } : { plainHTTP: true }) },
      ]),
    );
  }

  /** Where to push content of a host, past every fault. */
  backingOf(host: string, repository: string): { url: string; repository: string } {
    return { url: this.#backing.url.origin, repository: this.#backing.repository(host, repository) };
  }

  /** Puts an image upstream, past every fault. */
  push(host: string, repository: string, tags: readonly string[], image: MadeImage): Promise<PushedImage> {
    const backing = this.backingOf(host, repository);
    return pushImage(backing.url, backing.repository, tags, image);
  }

  async close(): Promise<void> {
    const listeners = this.#hosts.all().map(({ listener }) => listener?.shut());
    await Promise.all([...listeners, this.#plain.shut(), this.#secure?.shut(), this.#control?.close()]);
    this.#backing.close();
  }

  readonly #keeper: HostKeeper = {
    addRule: (rule) => this.#book.add({ ...rule, host: hostName(rule.host) }),
    changeRule: (id, change) => this.#book.change(id, change),
    removeRule: (id) => this.#book.remove(id),
    ruleState: (id) => this.#book.get(id),
    clearRules: (host) => {
      this.#book.clear(host);
    },
    untilApplied: async (id, times, deadlineMs) => {
      const applied = (): number => this.#book.get(id)?.applied ?? 0;
      await this.log.until(
        () => (applied() >= times ? true : undefined),
        deadlineMs,
        `rule ${id} to apply ${times} times`,
      );
    },
    setAuth: async (host, policy) => {
      for (const state of this.#named(host)) state.auth = policy;
      if (policy?.realmHost !== undefined) await this.addHost(policy.realmHost);
    },
    revokeTokens: (host) => {
      for (const { name } of this.#named(host)) this.#tokens.revoke(name);
    },
    setDown: async (host, down) => {
      for (const state of this.#named(host)) {
        state.down = down;
        await (down ? state.listener?.shut() : state.listener?.open());
        // What is left are its connections on the shared ports.
        for (const { facts, request } of this.#serving.open)
          if (down && facts.host === state.name) request.socket.destroy();
      }
    },
    address: (host) => new URL(this.#urlOf(host, false)).host,
    url: (host) => this.#urlOf(host, false),
  };

  #named(host: string): HostState[] {
    return host === '*' ? this.#hosts.all() : [this.#hosts.get(host)];
  }

  #listener(name: string | undefined, tls: boolean): Listener {
    const certificate = this.#certificates?.certificate;
    return new Listener(
      (request, response) => void serveRequest(this.#serving, request, response, name),
      tls && certificate !== undefined ? { source: certificate, defaultName: name ?? 'localhost' } : undefined,
    );
  }

  #urlOf(host: string, byName: boolean): string {
    const { listener, tls } = this.#hosts.get(host);
    if (byName) return `${tls ? 'https' : 'http'}://${host}`;
    return listener?.url ?? this.url;
  }
}

/** One spelling of a host's name; Docker Hub has several. */
function hostName(name: string): string {
  return name === '*' ? name : (canonicalHost(name) ?? name);
}
