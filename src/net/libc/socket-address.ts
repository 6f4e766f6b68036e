import { type Ip, ipFromBytes } from "../../address/ip.ts";
import { AF_INET, AF_INET6, AF_UNIX } from "./constants.ts";

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

/** Bytes of `sun_path` in `struct sockaddr_un` (unix(7)). */
const PATH_BYTES = 108;

/** `struct sockaddr_un` of a path or an abstract name; undefined for anything else. */
export function encodeUnixAddress(text: string): Uint8Array | undefined {
  const name = Buffer.from(text, "utf8");
  const isAbstract = text.startsWith("@");
  if ((!isAbstract && !text.startsWith("/")) || name.length < 2 || name.includes(0)) return undefined;
  // A path ends with a NUL; an abstract name begins with one and ends with the address.
  if (name.length > (isAbstract ? PATH_BYTES : PATH_BYTES - 1)) return undefined;
  const address = new Uint8Array(2 + name.length + (isAbstract ? 0 : 1));
  address[0] = AF_UNIX;
  address.set(name, 2);
  if (isAbstract) address[2] = 0;
  return address;
}

/** Reads the port that the kernel wrote. */
export function readSocketPort(bytes: Uint8Array): number {
  return ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
}

/** IPv4 addresses that a reader remembers. */
const MAX_KNOWN = 1024;

/**
 * Reads addresses that the kernel wrote. It gives the same object for the same
 * IPv4 address: the same few clients come again and again, a new object costs
 * 0.7 µs, and each connection keeps one.
 */
export class SocketIps {
  readonly #known = new Map<number, Ip>();

  /** Undefined for anything but IP. An IPv4-mapped address gives the IPv4 address. */
  read(bytes: Uint8Array): Ip | undefined {
    if (bytes[0] === AF_INET6) return ipFromBytes(bytes.subarray(8, 24));
    if (bytes[0] !== AF_INET) return undefined;
    const key = ((bytes[4] ?? 0) << 24) | ((bytes[5] ?? 0) << 16) | ((bytes[6] ?? 0) << 8) | (bytes[7] ?? 0);
    const before = this.#known.get(key);
    if (before !== undefined) return before;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    const ip = ipFromBytes(bytes.subarray(4, 8));
    this.#known.set(key, ip);
    return ip;
  }
}
