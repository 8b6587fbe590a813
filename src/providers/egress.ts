/** Which addresses the operator may call: https only, and nothing but global unicast unless the administrator permits private networks. */
import { lookup as systemLookup, type LookupAddress, type LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** `Private` needs `allowPrivateNetwork`; `Never` is refused always. */
export type AddressKind = 'Public' | 'Private' | 'Never';

/** Why a request was not sent. `message` is safe to show; `lasting`: only another URL or permission changes it, not the name service. */
export class EgressRefused extends Error {
  override readonly name = 'EgressRefused';
  readonly lasting: boolean;

  constructor(message: string, lasting: boolean) {
    super(message);
    this.lasting = lasting;
  }
}

/** Addresses behind which clouds hand out machine credentials (AWS, GCP, Azure, Alibaba, OpenStack, Oracle, ECS). */
const metadataRanges: readonly (readonly [string, number])[] = [
  ['169.254.169.0', 24],
  ['169.254.170.0', 24],
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
  ['192.0.0.192', 32],
  ['fd00:ec2::', 32],
  ['fd20:ce::254', 128],
  ['fe80::a9fe:a9fe', 128],
];
const privateRanges = new Set([
  'private',
  'loopback',
  'linkLocal',
  'carrierGradeNat',
  'uniqueLocal',
  'rfc6052',
  'benchmarking',
]);
const globalUnicast = ipaddr.IPv6.parseCIDR('2000::/3');

/** `address` is an IP literal as a resolver gives it; anything else is `Never`. */
export function addressKind(address: string): AddressKind {
  const bare = address.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  if (isIP(bare) === 0) return 'Never';
  const parsed = ipaddr.parse(bare);
  if (metadataRanges.some(([base, bits]) => inRange(parsed, base, bits))) return 'Never';
  return parsed instanceof ipaddr.IPv6 ? kindOfV6(parsed) : kindOfRange(parsed.range());
}

function inRange(address: ipaddr.IPv4 | ipaddr.IPv6, base: string, bits: number): boolean {
  const network = ipaddr.parse(base);
  return network.kind() === address.kind() && address.match(network as never, bits);
}

function kindOfRange(range: string): AddressKind {
  if (range === 'unicast') return 'Public';
  return privateRanges.has(range) ? 'Private' : 'Never';
}

/** Forms that carry an IPv4 address are as good as that address, but never public: a real provider has no need of them. */
function kindOfV6(address: ipaddr.IPv6): AddressKind {
  const inner = embeddedV4(address);
  if (inner !== undefined) return addressKind(inner) === 'Never' ? 'Never' : 'Private';
  const kind = kindOfRange(address.range());
  return kind === 'Public' && !address.match(globalUnicast) ? 'Never' : kind;
}

function embeddedV4(address: ipaddr.IPv6): string | undefined {
  const range = address.range();
  const bytes = address.toByteArray();
  const v4 = (from: number): string => bytes.slice(from, from + 4).join('.');
  const compatible = bytes.slice(0, 12).every((byte) => byte === 0);
  if (compatible && range !== 'loopback' && range !== 'unspecified') return v4(12);
  if (range === 'ipv4Mapped' || range === 'rfc6145' || range === 'rfc6052') return v4(12);
  if (range === '6to4') return v4(2);
  if (range === 'teredo')
    return bytes
      .slice(12)
      .map((byte) => byte ^ 0xff)
      .join('.');
  return undefined;
}

const refusedPorts = new Set(['0', '22', '2379', '2380', '10250', '10255']);

/**
 * Parses an https URL that may be called; throws {@link EgressRefused}. The text must be what a parser makes of it, because parsers
 * silently repair backslashes, tabs, dot segments and odd spellings of IP addresses.
 */
export function checkUrl(text: string, allowPrivateNetwork: boolean): URL {
  const refuse = (why: string): never => {
    throw new EgressRefused(why, true);
  };
  if (text.length > 2_048 || !/^[\u0021-\u007e]+$/.test(text) || text.includes('\\') || !URL.canParse(text)) {
    return refuse('the address is not a URL');
  }
  const url = new URL(text);
  if (url.protocol !== 'https:') refuse('only https is called');
  if (url.username !== '' || url.password !== '') refuse('the URL contains a user or password');
  if (url.hash !== '') refuse('the URL contains a fragment');
  if (url.hostname === '' || url.hostname.length > 253 || url.hostname.includes('..'))
    refuse('the host name is not usable');
  if (refusedPorts.has(url.port)) refuse(`port ${url.port} is never called`);
  const literal = url.hostname.replace(/^\[|\]$/g, '');
  if (isIP(literal) !== 0) checkAddress(literal, allowPrivateNetwork, true);
  return url;
}

function checkAddress(address: string, allowPrivateNetwork: boolean, lasting: boolean): void {
  const kind = addressKind(address);
  if (kind === 'Never') throw new EgressRefused(`the address ${address} is never called`, lasting);
  if (kind === 'Private' && !allowPrivateNetwork) {
    throw new EgressRefused(
      `the address ${address} is private; allowPrivateNetwork of this issuer permits it`,
      lasting,
    );
  }
}

type LookupCallback = (error: Error | null, address: string | LookupAddress[], family?: number) => void;
export type Lookup = (host: string, options: LookupOptions, callback: LookupCallback) => void;

/**
 * Whoever asks for a name that is being asked for gets that answer; nothing is kept beyond it. The system's resolver holds one of few threads
 * for as long as nobody answers, so a name that is never answered must hold one, however many calls wait for it.
 */
export function sharedLookup(lookup: Lookup): Lookup {
  const asked = new Map<string, LookupCallback[]>();
  return (host, options, callback) => {
    const question = JSON.stringify([host, options]);
    const others = asked.get(question);
    if (others !== undefined) return void others.push(callback);
    const waiting = [callback];
    asked.set(question, waiting);
    return lookup(host, options, (...answer) => {
      asked.delete(question);
      for (const told of waiting) told(...answer);
    });
  };
}

const systemNames = sharedLookup(systemLookup as Lookup);

const mostAddresses = 32;

/** A resolver that refuses a name as soon as *one* of its addresses may not be called; asked at each connect, so rebinding does not help. */
export function guardedLookup(allowPrivateNetwork: () => boolean, lookup: Lookup = systemNames): Lookup {
  return (host, options, callback) => {
    lookup(host, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      const addresses = (found as LookupAddress[]).slice(0, mostAddresses);
      try {
        for (const { address } of addresses) checkAddress(address, allowPrivateNetwork(), false);
      } catch (refused) {
        return callback(refused as EgressRefused, []);
      }
      const first = addresses[0];
      if (first === undefined) return callback(new EgressRefused('the name has no address', false), []);
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family);
    });
  };
}
