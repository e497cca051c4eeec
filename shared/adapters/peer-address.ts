/**
 * Which addresses are connected to on behalf of others. A peer chooses its own endpoint, and the
 * URLs of its objects: neither may lead to this machine, its link, or a cloud's metadata. Private
 * networks are admitted: peers of one company meet there.
 */
import type { LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { BlockList, isIP, type LookupFunction } from 'node:net';

/** All addresses of a host name. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>;

const refusedNetworks4 = [
  ['0.0.0.0', 8], // This network: reaches this machine on many systems (RFC 1122).
  ['127.0.0.0', 8], // Loopback.
  ['169.254.0.0', 16], // Link-local, with the metadata of AWS, Azure and Google (RFC 3927).
  ['192.0.0.0', 24], // Protocol assignments (RFC 6890), with the metadata of Oracle.
  ['100.100.100.200', 32], // Metadata of Alibaba.
  ['168.63.129.16', 32], // Azure's platform.
  ['224.0.0.0', 4], // Multicast.
  ['240.0.0.0', 4], // Reserved and broadcast.
] as const;

const refusedNetworks6 = [
  ['::', 96], // Unspecified, loopback, IPv4-compatible (RFC 4291).
  ['::ffff:0:0:0', 96], // IPv4-translated (RFC 2765).
  ['64:ff9b:1::', 48], // Translation inside one network (RFC 8215).
  ['2001::', 32], // Teredo and 6to4: IPv4 addresses in disguise, out of use.
  ['2002::', 16],
  ['fd00:ec2::', 32], // Metadata, name and time service of AWS.
  ['fd20:ce::', 32], // Metadata of Google.
  ['fe80::', 10], // Link-local.
  ['fec0::', 10], // Site-local, out of use.
  ['ff00::', 8], // Multicast.
] as const;

const TRANSLATED_PREFIX = '64:ff9b::';
const TRANSLATED_PREFIX_BITS = 96;

/** `BlockList` itself sees an IPv4-mapped address (::ffff:a.b.c.d) as the IPv4 address. */
const refusedAddresses = new BlockList();
for (const [network, bits] of refusedNetworks4) {
  refusedAddresses.addSubnet(network, bits, 'ipv4');
  // The same address behind a translator of IPv6-only networks (RFC 6052).
  const translated = `${TRANSLATED_PREFIX}${network}`;
  refusedAddresses.addSubnet(translated, TRANSLATED_PREFIX_BITS + bits, 'ipv6');
}
for (const [network, bits] of refusedNetworks6) refusedAddresses.addSubnet(network, bits, 'ipv6');

/** Whether the address, IPv4 or IPv6, is one of those; everything that is no address is. */
export function isRefusedAddress(address: string): boolean {
  const family = isIP(address);
  if (family === 0 || address.includes('%')) return true;
  return refusedAddresses.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** The host of a URL as a socket takes it: an IPv6 address without its brackets. */
export function hostOf(url: URL): string {
  return url.hostname.replace(/^\[(.*)\]$/, '$1');
}

/** Whether a host written as address is refused; names are checked once they are resolved. */
export function isRefusedHost(host: string): boolean {
  return isIP(host) !== 0 && isRefusedAddress(host);
}

export class AddressRefused extends Error {
  constructor() {
    super('the host name leads to an address that is not connected to');
  }
}

const resolveByDns: Resolve = (hostname) => lookup(hostname, { all: true });

/**
 * A lookup for sockets that hands out only addresses that were checked, so that no second question
 * to the name server can change them. One refused address refuses the name. `local` admits all.
 */
export function checkedLookup(local: boolean, resolve: Resolve = resolveByDns): LookupFunction {
  return (hostname, options, callback) => {
    resolve(hostname).then(
      (addresses) => {
        const [first] = addresses;
        if (!first || (!local && addresses.some(({ address }) => isRefusedAddress(address))))
          callback(new AddressRefused(), []);
        else if (options.all) callback(null, addresses);
        else callback(null, first.address, first.family);
      },
      (error: Error) => callback(error, []),
    );
  };
}
