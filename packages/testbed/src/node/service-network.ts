import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { decode, encode, type Answer } from 'dns-packet';
import { API_SERVICE_ADDRESS } from '../control-plane/apiserver-flags.ts';
import type { ControlPlane, KubeObject } from '../port.ts';
import { openRelay, type Relay } from '../process/relay.ts';
import { DNS_PORT, NODE_ADDRESS } from './traces.ts';

type Service = KubeObject & {
  spec: { clusterIP?: string; ports?: { port: number; name?: string; protocol?: string }[] };
};
type EndpointSlice = KubeObject & {
  endpoints?: { addresses: string[]; conditions?: { ready?: boolean } }[] | null;
  ports?: { name?: string; port?: number }[] | null;
};

export interface ServiceNetwork {
  stop(): Promise<void>;
}

const LOOK_EVERY_MS = 200;
const DOMAIN = '.svc.cluster.local';

/**
 * What kube-proxy and a cluster's DNS are to pods: each Service's address leads to one of its ready endpoints, its name to its address. TCP alone, by
 * relays in this process, so that the machine's firewall is not touched. Needs a node, which makes the addresses this machine's.
 */
export async function startServiceNetwork(plane: ControlPlane): Promise<ServiceNetwork> {
  const network = new Network(plane);
  await network.start();
  return network;
}

class Network implements ServiceNetwork {
  readonly #plane: ControlPlane;
  readonly #dns: Socket = createSocket('udp4');
  /** By `<address>:<port>` of a Service. */
  readonly #relays = new Map<string, Relay>();
  /** Where these lead, `<address>:<port>` of pods. */
  #targets = new Map<string, readonly string[]>();
  /** Of each Service by its name in the cluster's domain. */
  #addresses = new Map<string, string>();
  #turn = 0;
  #looking: Promise<void> = Promise.resolve();
  #timer: NodeJS.Timeout | undefined;

  constructor(plane: ControlPlane) {
    this.#plane = plane;
  }

  async start(): Promise<void> {
    this.#dns.on('message', (question, { port, address }) => {
      const answer = this.#answer(question);
      if (answer !== undefined) this.#dns.send(answer, port, address);
    });
    this.#dns.bind(DNS_PORT, NODE_ADDRESS);
    await once(this.#dns, 'listening');
    await this.#look();
    const again = (): void => {
      // An API server that does not answer is asked again; what is known stays.
      this.#looking = this.#look().catch(() => undefined);
      void this.#looking.then(
        () => (this.#timer = this.#timer === undefined ? undefined : setTimeout(again, LOOK_EVERY_MS)),
      );
    };
    this.#timer = setTimeout(again, LOOK_EVERY_MS);
  }

  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#looking;
    this.#dns.close();
    await Promise.all([...this.#relays.values()].map((relay) => relay.close()));
  }

  async #look(): Promise<void> {
    const [services, slices] = await Promise.all([
      this.#plane.api.list<Service>('/api/v1/services'),
      this.#plane.api.list<EndpointSlice>('/apis/discovery.k8s.io/v1/endpointslices'),
    ]);
    const [targets, addresses] = [new Map<string, readonly string[]>(), new Map<string, string>()];
    for (const { metadata, spec } of services) {
      const { clusterIP, ports = [] } = spec;
      if (clusterIP === undefined || clusterIP === 'None') continue;
      addresses.set(`${metadata.name}.${metadata.namespace}${DOMAIN}`, clusterIP);
      const own = slices.filter(
        (slice) =>
          slice.metadata.namespace === metadata.namespace &&
          slice.metadata.labels?.['kubernetes.io/service-name'] === metadata.name,
      );
      for (const port of ports) targets.set(`${clusterIP}:${port.port}`, this.#endpoints(clusterIP, own, port.name));
    }
    this.#targets = targets;
    this.#addresses = addresses;
    for (const [key, relay] of this.#relays) {
      if (targets.has(key)) continue;
      this.#relays.delete(key);
      await relay.close();
    }
    for (const key of targets.keys()) {
      if (this.#relays.has(key)) continue;
      const [host, port] = key.split(':') as [string, string];
      this.#relays.set(key, await openRelay({ host, port: Number(port) }, () => this.#next(key)));
    }
  }

  /** The API server itself has no endpoints here: it listens on loopback, where pods have none. */
  #endpoints(clusterIP: string, slices: readonly EndpointSlice[], name: string | undefined): string[] {
    if (clusterIP === API_SERVICE_ADDRESS) return [new URL(this.#plane.url).host];
    return slices.flatMap(({ endpoints, ports }) => {
      const port = ports?.find((one) => (one.name ?? '') === (name ?? ''))?.port;
      const ready = (endpoints ?? []).filter(({ conditions }) => conditions?.ready !== false);
      return port === undefined ? [] : ready.flatMap(({ addresses }) => addresses.map((at) => `${at}:${port}`));
    });
  }

  #next(key: string): string | undefined {
    const targets = this.#targets.get(key) ?? [];
    this.#turn += 1;
    return targets[this.#turn % targets.length];
  }

  /** An address for a Service's name; no address of another kind; no such name (RFC 1035). */
  #answer(message: Buffer): Buffer | undefined {
    try {
      const { id, questions = [] } = decode(message);
      const [question] = questions;
      if (question === undefined) return undefined;
      const address = this.#addresses.get(question.name.toLowerCase());
      const answers: Answer[] =
        address === undefined || question.type !== 'A'
          ? []
          : [{ type: 'A', name: question.name, ttl: 1, data: address }];
      // Authoritative, and by RFC 2308 a name that is not there is rcode 3.
      return encode({
        type: 'response',
        id: id ?? 0,
        flags: (1 << 10) | (address === undefined ? 3 : 0),
        questions,
        answers,
      });
    } catch {
      return undefined;
    }
  }
}
