import type { Endpoint } from "../../address/endpoint.ts";
import { hostFromIp, type HostErrorCode, parseHost } from "../../address/host.ts";
import { ipFromBytes, parseIp } from "../../address/ip.ts";

/** The target of a request. A target that is no endpoint is answered with a reply. */
export type SocksTarget =
  | { readonly ok: true; readonly endpoint: Endpoint }
  | { readonly ok: false; readonly code: HostErrorCode | "port_invalid" };

/** The target of an address of 4 or 16 bytes and a port. */
export function targetFromAddress(address: Uint8Array, port: number): SocksTarget {
  if (port === 0) return { ok: false, code: "port_invalid" };
  // A copy: the bytes are lent, and slice() of a Buffer is a view.
  return { ok: true, endpoint: { host: hostFromIp(ipFromBytes(new Uint8Array(address))), port } };
}

/**
 * The target of a name and a port, by the one canonicaliser. Some clients send
 * an address as the name; IPv6 is accepted with and without brackets.
 */
export function targetFromName(name: Uint8Array, port: number): SocksTarget {
  const text = Buffer.from(name).toString("latin1");
  const bare = text.includes(":") ? parseIp(text) : undefined;
  const host = bare ? { ok: true as const, host: hostFromIp(bare) } : parseHost(text);
  if (!host.ok) return host;
  if (port === 0) return { ok: false, code: "port_invalid" };
  return { ok: true, endpoint: { host: host.host, port } };
}
