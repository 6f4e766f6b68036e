import type { Endpoint } from "../../address/endpoint.ts";
import { formatName } from "../../address/host.ts";

/** Address types (RFC 1928 §5). */
const IPV4_TYPE = 1;
export const NAME_TYPE = 3;
const IPV6_TYPE = 4;

/** The offsets of the parts of an address in a message. */
export type Socks5AddressSpan =
  | { readonly kind: "more" }
  | {
      readonly kind: "done";
      readonly type: number;
      readonly start: number;
      readonly portAt: number;
      readonly end: number;
    }
  | { readonly kind: "bad"; readonly at: number };

/** Finds ATYP, address and port from offset `at` on. `bad` is an address type that RFC 1928 does not know. */
export function measureSocks5Address(bytes: Uint8Array, at: number): Socks5AddressSpan {
  const type = bytes[at];
  if (type === undefined) return { kind: "more" };
  let start = at + 1;
  let length: number;
  if (type === IPV4_TYPE) length = 4;
  else if (type === IPV6_TYPE) length = 16;
  else if (type === NAME_TYPE) {
    const counted = bytes[start];
    if (counted === undefined) return { kind: "more" };
    start += 1;
    length = counted;
  } else return { kind: "bad", at };
  const portAt = start + length;
  const end = portAt + 2;
  return bytes.length < end ? { kind: "more" } : { kind: "done", type, start, portAt, end };
}

/** Writes ATYP, address and port of an endpoint. A name is at most 253 bytes of ASCII, so it always fits. */
export function encodeSocks5Address(endpoint: Endpoint): Uint8Array {
  const { host, port } = endpoint;
  const address = host.kind === "ip" ? host.ip.bytes : encodeName(formatName(host));
  const type = host.kind === "name" ? NAME_TYPE : host.ip.family === 4 ? IPV4_TYPE : IPV6_TYPE;
  const bytes = new Uint8Array(1 + address.length + 2);
  bytes[0] = type;
  bytes.set(address, 1);
  bytes[1 + address.length] = port >> 8;
  bytes[2 + address.length] = port & 0xff;
  return bytes;
}

function encodeName(name: string): Uint8Array {
  const text = Buffer.from(name, "latin1");
  if (text.length === 0 || text.length > 255)
    throw new RangeError(`A SOCKS5 name has 1 to 255 bytes; this one has ${text.length}.`);
  return Buffer.concat([Uint8Array.of(text.length), text]);
}
