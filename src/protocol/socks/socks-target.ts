import type { Endpoint } from "../../address/endpoint.ts";
import { hostFromIp, type HostErrorCode, parseHost } from "../../address/host.ts";
import { ipFromBytes, parseIp } from "../../address/ip.ts";

/** Where a client asks to go. A target that is no endpoint is the client's mistake, still to be answered with a reply. */
export type SocksTarget =
  | { readonly ok: true; readonly endpoint: Endpoint }
  | { readonly ok: false; readonly code: HostErrorCode | "port_invalid" };

/** The target that an address of 4 or 16 bytes and a port mean. */
export function targetFromAddress(address: Uint8Array, port: number): SocksTarget {
  if (port === 0) return { ok: false, code: "port_invalid" };
  // A copy: the caller's buffer is not ours to keep, and slice() of a Buffer is a view.
  return { ok: true, endpoint: { host: hostFromIp(ipFromBytes(new Uint8Array(address))), port } };
}

/**
 * The target that a name and a port mean, by the one canonicaliser. Clients
 * also put addresses where a name goes; a field of its own needs no brackets
 * around IPv6, so both spellings are taken.
 */
export function targetFromName(name: Uint8Array, port: number): SocksTarget {
  const text = Buffer.from(name).toString("latin1");
  const bare = text.includes(":") ? parseIp(text) : undefined;
  const host = bare ? { ok: true as const, host: hostFromIp(bare) } : parseHost(text);
  if (!host.ok) return host;
  if (port === 0) return { ok: false, code: "port_invalid" };
  return { ok: true, endpoint: { host: host.host, port } };
}
