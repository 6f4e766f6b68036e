import type { Parsed } from "../parsed.ts";
import { type SocksTarget, targetFromAddress, targetFromName } from "./socks-target.ts";
import { SOCKS4_REPLY_CODES, type Socks4ReplyCode } from "./socks4-client.ts";

export interface Socks4Request {
  /** All but `connect` are to be answered with `rejected`. */
  readonly command: "connect" | "bind" | "unknown";
  readonly target: SocksTarget;
  /** The user id, one character for each byte. It proves nothing. */
  readonly userId: string;
}

export type Socks4RequestError = "bad_version" | "user_id_too_long" | "name_too_long";

/** Bytes of a user id or a name, without its NUL. */
const MAX_TEXT = 255;

/** Reads a request of SOCKS4, or of SOCKS4a when its address is 0.0.0.x: at most 520 bytes. */
export function parseSocks4Request(bytes: Uint8Array): Parsed<Socks4Request, Socks4RequestError> {
  const [version, command] = bytes;
  if (version === undefined) return { kind: "more" };
  if (version !== 4) return { kind: "bad", code: "bad_version", at: 0 };
  const userEnd = findNul(bytes, 8);
  if (userEnd === "too_long") return { kind: "bad", code: "user_id_too_long", at: 8 + MAX_TEXT };
  if (command === undefined || userEnd === undefined) return { kind: "more" };
  const head = {
    command: command === 1 ? "connect" : command === 2 ? "bind" : "unknown",
    userId: Buffer.from(bytes.subarray(8, userEnd)).toString("latin1"),
  } as const;
  const port = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  const address = bytes.subarray(4, 8);
  if (!announcesName(address)) {
    return { kind: "done", value: { ...head, target: targetFromAddress(address, port) }, used: userEnd + 1 };
  }
  const nameAt = userEnd + 1;
  const nameEnd = findNul(bytes, nameAt);
  if (nameEnd === "too_long") return { kind: "bad", code: "name_too_long", at: nameAt + MAX_TEXT };
  if (nameEnd === undefined) return { kind: "more" };
  const target = targetFromName(bytes.subarray(nameAt, nameEnd), port);
  return { kind: "done", value: { ...head, target }, used: nameEnd + 1 };
}

/** Writes a reply. Address and port mean nothing for CONNECT and are zero. */
export function encodeSocks4Reply(code: Socks4ReplyCode): Uint8Array {
  return Uint8Array.of(0, 90 + SOCKS4_REPLY_CODES.indexOf(code), 0, 0, 0, 0, 0, 0);
}

/** The offset of the NUL that ends the text at `at`; undefined while it may still come. */
function findNul(bytes: Uint8Array, at: number): number | "too_long" | undefined {
  const found = bytes.subarray(at, at + MAX_TEXT + 1).indexOf(0);
  if (found >= 0) return at + found;
  return bytes.length > at + MAX_TEXT ? "too_long" : undefined;
}

/** 0.0.0.x with x not 0: the form of SOCKS4a. */
function announcesName(address: Uint8Array): boolean {
  return address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] !== 0;
}
