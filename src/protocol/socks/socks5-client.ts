import type { Endpoint } from "../../address/endpoint.ts";
import type { Parsed } from "../parsed.ts";
import { encodeSocks5Address, measureSocks5Address } from "./socks5-address.ts";

/** The methods to offer: always "no authentication", and the password if there is one. */
export interface Socks5Offer {
  readonly password: boolean;
}

/** The method that the server chose (RFC 1928 §3). After `none_acceptable` it closes. */
export type Socks5Choice = "no_auth" | "password" | "none_acceptable";

export type Socks5ChoiceError = "bad_version" | "method_not_offered";

/** Answer to user name and password (RFC 1929 §2). After `rejected` the server closes. */
export type Socks5PasswordResult = "accepted" | "rejected";

/** The reply field (RFC 1928 §6); codes from 9 on are `unassigned`. */
export type Socks5ReplyCode =
  | "succeeded"
  | "general_failure"
  | "not_allowed"
  | "network_unreachable"
  | "host_unreachable"
  | "connection_refused"
  | "ttl_expired"
  | "command_not_supported"
  | "address_type_not_supported"
  | "unassigned";

/** In the order of their numbers on the wire, from 0. */
export const SOCKS5_REPLY_CODES: readonly Exclude<Socks5ReplyCode, "unassigned">[] = [
  "succeeded",
  "general_failure",
  "not_allowed",
  "network_unreachable",
  "host_unreachable",
  "connection_refused",
  "ttl_expired",
  "command_not_supported",
  "address_type_not_supported",
];

/** Writes the first message to the server: version and methods (RFC 1928 §3). */
export function encodeSocks5Greeting(offer: Socks5Offer): Uint8Array {
  return offer.password ? Uint8Array.of(5, 2, 0, 2) : Uint8Array.of(5, 1, 0);
}

/** Reads the server's choice, two bytes. A method that was not in `offer` is bad. */
export function parseSocks5Choice(bytes: Uint8Array, offer: Socks5Offer): Parsed<Socks5Choice, Socks5ChoiceError> {
  const [version, method] = bytes;
  if (version === undefined) return { kind: "more" };
  if (version !== 5) return { kind: "bad", code: "bad_version", at: 0 };
  if (method === undefined) return { kind: "more" };
  if (method === 0) return { kind: "done", value: "no_auth", used: 2 };
  if (method === 2 && offer.password) return { kind: "done", value: "password", used: 2 };
  if (method === 0xff) return { kind: "done", value: "none_acceptable", used: 2 };
  return { kind: "bad", code: "method_not_offered", at: 1 };
}

/**
 * Writes the user name and password message (RFC 1929 §2) in UTF-8. The password
 * may be empty: some providers identify customers by name alone. Undefined when
 * the name does not have 1 to 255 bytes, or the password has more than 255.
 */
export function encodeSocks5Password(user: string, password: string): Uint8Array | undefined {
  const name = Buffer.from(user);
  const word = Buffer.from(password);
  if (name.length < 1 || name.length > 255 || word.length > 255) return undefined;
  return Buffer.concat([Uint8Array.of(1, name.length), name, Uint8Array.of(word.length), word]);
}

/** Reads the answer to user name and password, two bytes; every status but 0 is a rejection (RFC 1929 §2). */
export function parseSocks5PasswordReply(bytes: Uint8Array): Parsed<Socks5PasswordResult, "bad_version"> {
  const [version, status] = bytes;
  if (version === undefined) return { kind: "more" };
  if (version !== 1) return { kind: "bad", code: "bad_version", at: 0 };
  if (status === undefined) return { kind: "more" };
  return { kind: "done", value: status === 0 ? "accepted" : "rejected", used: 2 };
}

/** Writes the CONNECT request (RFC 1928 §4). The server resolves a name. */
export function encodeSocks5Connect(target: Endpoint): Uint8Array {
  return Buffer.concat([Uint8Array.of(5, 1, 0), encodeSocks5Address(target)]);
}

/**
 * Reads the reply to a request (RFC 1928 §6).
 *
 * A success is used up to the end of its bound address, which CONNECT does not
 * need. A failure is done with its code, two bytes: the server closes after it,
 * and some servers send no valid address with it.
 */
export function parseSocks5Reply(bytes: Uint8Array): Parsed<Socks5ReplyCode, "bad_version" | "bad_address_type"> {
  const [version, reply] = bytes;
  if (version === undefined) return { kind: "more" };
  if (version !== 5) return { kind: "bad", code: "bad_version", at: 0 };
  if (reply === undefined) return { kind: "more" };
  if (reply !== 0) return { kind: "done", value: SOCKS5_REPLY_CODES[reply] ?? "unassigned", used: 2 };
  const span = measureSocks5Address(bytes, 3);
  if (span.kind === "more") return span;
  if (span.kind === "bad") return { kind: "bad", code: "bad_address_type", at: span.at };
  return { kind: "done", value: "succeeded", used: span.end };
}
