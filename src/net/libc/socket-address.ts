import { type Ip, ipFromBytes } from "../../address/ip.ts";
import { AF_INET, AF_INET6 } from "./constants.ts";

/** Room for `struct sockaddr_in6`, the longest that is used here. */
export const socketAddressBytes = 28;

/** `struct sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)): family in this machine's order, port and address in the network's. */
export function encodeSocketAddress(ip: Ip, port: number): Uint8Array {
  const bytes = new Uint8Array(ip.family === 4 ? 16 : 28);
  bytes[0] = ip.family === 4 ? AF_INET : AF_INET6;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(ip.bytes, ip.family === 4 ? 4 : 8);
  return bytes;
}

/** Reads the port of what the kernel wrote. */
export function readSocketPort(bytes: Uint8Array): number {
  return ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
}

/** Reads the address of what the kernel wrote; undefined for anything but IP. An IPv4-mapped one gives the IPv4 address. */
export function readSocketIp(bytes: Uint8Array): Ip | undefined {
  if (bytes[0] === AF_INET) return readKnownIpv4(bytes);
  return bytes[0] === AF_INET6 ? ipFromBytes(bytes.subarray(8, 24)) : undefined;
}

/** The same few clients come again and again. */
const known = new Map<number, Ip>();
const KNOWN_LIMIT = 1024;

function readKnownIpv4(bytes: Uint8Array): Ip {
  const key = ((bytes[4] ?? 0) << 24) | ((bytes[5] ?? 0) << 16) | ((bytes[6] ?? 0) << 8) | (bytes[7] ?? 0);
  const old = known.get(key);
  if (old !== undefined) return old;
  if (known.size >= KNOWN_LIMIT) known.clear();
  const ip = ipFromBytes(bytes.subarray(4, 8));
  known.set(key, ip);
  return ip;
}
