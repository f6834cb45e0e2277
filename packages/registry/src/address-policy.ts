import { BlockList, isIP, isIPv4 } from 'node:net';

/** Why an address may not be reached although a name resolves to it. */
export type AddressKind = 'loopback' | 'link-local' | 'private' | 'metadata' | 'reserved';

/** Ranges by kind: IANA special-purpose registries (RFC 6890), and the cloud metadata addresses that lie outside them. */
const RANGES: readonly [AddressKind, string][] = [
  ['metadata', '169.254.169.254/32'],
  ['metadata', '169.254.170.2/32'],
  ['metadata', '168.63.129.16/32'],
  ['metadata', '100.100.100.200/32'],
  ['metadata', 'fd00:ec2::254/128'],
  ['loopback', '127.0.0.0/8'],
  ['loopback', '::1/128'],
  ['link-local', '169.254.0.0/16'],
  ['link-local', 'fe80::/10'],
  ['private', '10.0.0.0/8'],
  ['private', '172.16.0.0/12'],
  ['private', '192.168.0.0/16'],
  ['private', '100.64.0.0/10'],
  ['private', 'fc00::/7'],
  ['private', 'fec0::/10'],
  ['reserved', '0.0.0.0/8'],
  ['reserved', '192.0.0.0/24'],
  ['reserved', '192.0.2.0/24'],
  ['reserved', '198.18.0.0/15'],
  ['reserved', '198.51.100.0/24'],
  ['reserved', '203.0.113.0/24'],
  ['reserved', '224.0.0.0/4'],
  ['reserved', '240.0.0.0/4'],
  ['reserved', '::/128'],
  ['reserved', '100::/64'],
  ['reserved', '2001:db8::/32'],
  ['reserved', 'ff00::/8'],
];

const LISTS = RANGES.map(([kind, cidr]) => ({ kind, list: blockList([cidr]) }));

/** The kind of an IP address that only an explicit setting may reach; undefined for a public one. `address` is a literal. */
export function addressKind(address: string): AddressKind | undefined {
  const family = isIP(address);
  if (family === 0) return 'reserved';
  if (family === 6) {
    const embedded = embeddedIPv4(address);
    if (embedded !== undefined) return addressKind(embedded);
  }
  const type = family === 4 ? 'ipv4' : 'ipv6';
  return LISTS.find(({ list }) => list.check(address, type))?.kind;
}

export interface AddressPolicy {
  /** Why the address may not be reached, or undefined. */
  refuses(address: string): string | undefined;
}

/** A policy from the fixed ranges plus CIDRs of this cluster: `refuse` adds to them, `allow` takes out. Throws on a bad CIDR. */
export function createAddressPolicy(options: { refuse?: readonly string[]; allow?: readonly string[] }): AddressPolicy {
  const refuse = blockList(options.refuse ?? []);
  const allow = blockList(options.allow ?? []);
  return {
    refuses(address) {
      const literal = (isIP(address) === 6 ? embeddedIPv4(address) : undefined) ?? address;
      const type = isIPv4(literal) ? 'ipv4' : 'ipv6';
      if (isIP(literal) !== 0 && allow.check(literal, type)) return undefined;
      const kind = addressKind(literal);
      if (kind !== undefined) return kind;
      return refuse.check(literal, type) ? 'refused by configuration' : undefined;
    },
  };
}

function blockList(cidrs: readonly string[]): BlockList {
  const list = new BlockList();
  for (const cidr of cidrs) {
    const [address = '', bits] = cidr.split('/');
    const family = isIP(address);
    if (family === 0) throw new Error(`"${cidr}" is not a CIDR: write it as 10.0.0.0/8 or fd00::/8`);
    const type = family === 4 ? 'ipv4' : 'ipv6';
    list.addSubnet(address, bits === undefined ? (family === 4 ? 32 : 128) : Number(bits), type);
  }
  return list;
}

/** The IPv4 address inside an IPv4-mapped, NAT64 (64:ff9b::/96), 6to4 or Teredo address: it decides where packets end. */
function embeddedIPv4(address: string): string | undefined {
  const words = expandIPv6(address);
  if (words === undefined) return undefined;
  const tail = (high: number, low: number) => [high >> 8, high & 255, low >> 8, low & 255].join('.');
  const zeros = (count: number) => words.slice(0, count).every((word) => word === 0);
  if (zeros(5) && words[5] === 0xffff) return tail(words[6]!, words[7]!);
  if (zeros(6) && (words[6] !== 0 || words[7]! > 1)) return tail(words[6]!, words[7]!);
  if (words[0] === 0x64 && words[1] === 0xff9b) return tail(words[6]!, words[7]!);
  if (words[0] === 0x2002) return tail(words[1]!, words[2]!);
  if (words[0] === 0x2001 && words[1] === 0) return tail(words[6]! ^ 0xffff, words[7]! ^ 0xffff);
  return undefined;
}

function expandIPv6(address: string): number[] | undefined {
  let text = address.split('%')[0]!;
  const dotted = /(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(text);
  if (dotted !== null) {
    const [a, b, c, d] = dotted.slice(1).map(Number) as [number, number, number, number];
    text = `${text.slice(0, dotted.index)}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  }
  const [head = '', rest] = text.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = rest === undefined || rest === '' ? [] : rest.split(':');
  const gap = rest === undefined ? 0 : 8 - left.length - right.length;
  const words = [...left, ...Array<string>(Math.max(0, gap)).fill('0'), ...right].map((word) => parseInt(word, 16));
  return words.length === 8 && words.every((word) => word >= 0 && word <= 0xffff) ? words : undefined;
}
