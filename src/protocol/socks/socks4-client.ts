import type { Endpoint } from "../../address/endpoint.ts";
import { formatName } from "../../address/host.ts";
import type { Parsed } from "../parsed.ts";

/** The result code, 90 to 93 in this order. Everything but `granted` ends the connection. */
export type Socks4ReplyCode = "granted" | "rejected" | "identd_unreachable" | "identd_mismatch";

/** In the order of their numbers on the wire, from 90. */
export const SOCKS4_REPLY_CODES: readonly Socks4ReplyCode[] = [
  "granted",
  "rejected",
  "identd_unreachable",
  "identd_mismatch",
];

/**
 * Why a request has no SOCKS4a form: the protocol has IPv4 addresses and names
 * only, 0.0.0.x announces a name, and NUL ends the user id.
 */
export type Socks4EncodeError = "ipv6_not_supported" | "address_not_encodable" | "user_id_invalid";

export type Socks4Encoded =
  { readonly ok: true; readonly bytes: Uint8Array } | { readonly ok: false; readonly code: Socks4EncodeError };

/** Writes the CONNECT request, of SOCKS4 for an IPv4 address, of SOCKS4a for a name. `userId` is at most 255 bytes of UTF-8, mostly empty. */
export function encodeSocks4aConnect(target: Endpoint, userId: string): Socks4Encoded {
  const user = Buffer.from(`${userId}\0`);
  if (user.length > 256 || userId.includes("\0")) return { ok: false, code: "user_id_invalid" };
  const { host, port } = target;
  const head = Uint8Array.of(4, 1, port >> 8, port & 0xff);
  if (host.kind === "name") {
    return {
      ok: true,
      bytes: Buffer.concat([head, Uint8Array.of(0, 0, 0, 1), user, Buffer.from(`${formatName(host)}\0`, "latin1")]),
    };
  }
  if (host.ip.family === 6) return { ok: false, code: "ipv6_not_supported" };
  const [a, b, c] = host.ip.bytes;
  if (a === 0 && b === 0 && c === 0) return { ok: false, code: "address_not_encodable" };
  return { ok: true, bytes: Buffer.concat([head, host.ip.bytes, user]) };
}

/** Reads the reply, eight bytes of which only the first two mean something for CONNECT. */
export function parseSocks4Reply(bytes: Uint8Array): Parsed<Socks4ReplyCode, "bad_version" | "bad_code"> {
  const [version, number] = bytes;
  if (version === undefined) return { kind: "more" };
  // The version of the reply is 0, not the protocol's 4.
  if (version !== 0) return { kind: "bad", code: "bad_version", at: 0 };
  if (number === undefined) return { kind: "more" };
  const code = SOCKS4_REPLY_CODES[number - 90];
  if (code === undefined) return { kind: "bad", code: "bad_code", at: 1 };
  return bytes.length < 8 ? { kind: "more" } : { kind: "done", value: code, used: 8 };
}
