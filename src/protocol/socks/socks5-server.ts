import type { Ip } from "../../address/ip.ts";
import { Secret } from "../../secret.ts";
import { decodeCredentialText } from "../credential-text.ts";
import type { Parsed } from "../parsed.ts";
import { type SocksTarget, targetFromAddress, targetFromName } from "./socks-target.ts";
import { measureSocks5Address, NAME_TYPE } from "./socks5-address.ts";
import { SOCKS5_REPLY_CODES, type Socks5Choice, type Socks5ReplyCode } from "./socks5-client.ts";

/** The offered methods, of those that the proxy has. */
export interface Socks5Greeting {
  readonly noAuth: boolean;
  readonly password: boolean;
}

/** User and password of a client (RFC 1929). Either may be empty, which the caller rejects. */
export interface Socks5Credentials {
  readonly user: string;
  readonly password: Secret;
}

/** `unknown` is a command that RFC 1928 does not know. The answer to all but `connect` is `command_not_supported`. */
export type SocksCommand = "connect" | "bind" | "udp_associate" | "unknown";

export interface Socks5Request {
  readonly command: SocksCommand;
  readonly target: SocksTarget;
}

/** The answer to `address_type_not_supported` is the reply of that name: the request was well formed so far. */
export type Socks5RequestError = "bad_version" | "bad_reserved" | "address_type_not_supported";

/** Reads version and methods (RFC 1928 §3): at most 257 bytes. The caller refuses an offer of no method. */
export function parseSocks5Greeting(bytes: Uint8Array): Parsed<Socks5Greeting, "bad_version"> {
  const [version, count] = bytes;
  if (version === undefined) return { kind: "more" };
  if (version !== 5) return { kind: "bad", code: "bad_version", at: 0 };
  if (count === undefined || bytes.length < 2 + count) return { kind: "more" };
  const methods = bytes.subarray(2, 2 + count);
  return { kind: "done", value: { noAuth: methods.includes(0), password: methods.includes(2) }, used: 2 + count };
}

/** Writes the chosen method. After `none_acceptable` the client has to close (RFC 1928 §3). */
export function encodeSocks5Choice(choice: Socks5Choice): Uint8Array {
  return Uint8Array.of(5, choice === "no_auth" ? 0 : choice === "password" ? 2 : 0xff);
}

/** Reads user name and password (RFC 1929 §2), each UTF-8 or else ISO-8859-1: at most 513 bytes. */
export function parseSocks5Password(bytes: Uint8Array): Parsed<Socks5Credentials, "bad_version"> {
  const [version, userLength] = bytes;
  if (version === undefined) return { kind: "more" };
  if (version !== 1) return { kind: "bad", code: "bad_version", at: 0 };
  if (userLength === undefined) return { kind: "more" };
  const passwordAt = 3 + userLength;
  const passwordLength = bytes[passwordAt - 1];
  if (passwordLength === undefined) return { kind: "more" };
  const used = passwordAt + passwordLength;
  if (bytes.length < used) return { kind: "more" };
  const user = decodeCredentialText(bytes.subarray(2, passwordAt - 1));
  const password = decodeCredentialText(bytes.subarray(passwordAt, used));
  return { kind: "done", value: { user, password: new Secret(password) }, used };
}

/** Writes the answer to user name and password. After a refusal the server must close (RFC 1929 §2). */
export function encodeSocks5PasswordStatus(accepted: boolean): Uint8Array {
  return Uint8Array.of(1, accepted ? 0 : 1);
}

/** Reads a request (RFC 1928 §4): at most 262 bytes. */
export function parseSocks5Request(bytes: Uint8Array): Parsed<Socks5Request, Socks5RequestError> {
  const [version, command, reserved] = bytes;
  if (version === undefined) return { kind: "more" };
  if (version !== 5) return { kind: "bad", code: "bad_version", at: 0 };
  if (command === undefined || reserved === undefined) return { kind: "more" };
  if (reserved !== 0) return { kind: "bad", code: "bad_reserved", at: 2 };
  const span = measureSocks5Address(bytes, 3);
  if (span.kind === "more") return span;
  if (span.kind === "bad") return { kind: "bad", code: "address_type_not_supported", at: span.at };
  const address = bytes.subarray(span.start, span.portAt);
  const port = ((bytes[span.portAt] ?? 0) << 8) | (bytes[span.portAt + 1] ?? 0);
  const target = span.type === NAME_TYPE ? targetFromName(address, port) : targetFromAddress(address, port);
  return { kind: "done", value: { command: nameCommand(command), target }, used: span.end };
}

/** Writes a reply (RFC 1928 §6) with the local address of the connection to the target, or zeros. */
export function encodeSocks5Reply(
  code: Exclude<Socks5ReplyCode, "unassigned">,
  bound?: { readonly ip: Ip; readonly port: number },
): Uint8Array {
  const address = bound?.ip.bytes ?? new Uint8Array(4);
  const port = bound?.port ?? 0;
  const head = Uint8Array.of(5, SOCKS5_REPLY_CODES.indexOf(code), 0, address.length === 16 ? 4 : 1);
  return Buffer.concat([head, address, Uint8Array.of(port >> 8, port & 0xff)]);
}

function nameCommand(command: number): SocksCommand {
  if (command === 1) return "connect";
  if (command === 2) return "bind";
  return command === 3 ? "udp_associate" : "unknown";
}
