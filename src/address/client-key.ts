import { type Ip, ipFromBytes } from "./ip.ts";

/** How many leading bits of an address tell one client from another. */
export interface ClientPrefix {
  readonly v4: number;
  readonly v6: number;
}

/**
 * The key under which a client is counted, wherever something is shared by
 * client. An IPv6 client has a whole network to itself, usually a /64, and could
 * take another address of it for each connection.
 */
export function clientKey(ip: Ip, { v4, v6 }: ClientPrefix): string {
  const prefix = ip.family === 4 ? v4 : v6;
  const { length } = ip.bytes;
  if (prefix >= length * 8) return ip.text;
  const network = new Uint8Array(length);
  const whole = prefix >> 3;
  network.set(ip.bytes.subarray(0, whole));
  network[whole] = (ip.bytes[whole] ?? 0) & (0xff00 >> (prefix & 7));
  return `${ipFromBytes(network).text}/${prefix}`;
}
