import type { Conn } from "../../net/conn/conn.ts";
import { remainingMs } from "../../net/conn/deadlines.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import type { Parsed } from "../../protocol/parsed.ts";
import {
  encodeSocks5Choice,
  encodeSocks5PasswordStatus,
  encodeSocks5Reply,
  parseSocks5Password,
  parseSocks5Request,
  type Socks5Credentials,
  type Socks5Greeting,
  type Socks5Request,
} from "../../protocol/socks/socks5-server.ts";
import { describeFailure, fail, type Failure, type Outcome, succeed } from "../failure.ts";
import type { Refusal } from "./refusal.ts";
import type { Reply } from "./reply.ts";
import { writeWhole } from "./write-whole.ts";

/** Bytes of the longest message after the greeting: user name and password with their lengths (RFC 1929). */
const MAX_BYTES = 513;

const NOTHING = new Uint8Array(0);

/** The handshake with a SOCKS5 client after its greeting (RFC 1928 §3, §4). A refusal is the message that the client expects next. */
export class Socks5Handshake implements Reply {
  #awaits: "nothing" | "method" | "password_status" | "reply";
  readonly #greeting: Socks5Greeting | undefined;

  /** `greeting` is undefined when it could not be read, or is not served. */
  constructor(greeting: Socks5Greeting | undefined) {
    this.#greeting = greeting;
    this.#awaits = greeting === undefined ? "nothing" : "method";
  }

  /**
   * Chooses a method, and reads the password if that is the one; undefined when
   * none is asked for. A client that offers a password is asked for it only when
   * it is `required`, even `if_offered`, or when it offers nothing else.
   */
  async readPassword(
    client: Conn,
    required: boolean | "if_offered",
    endsAt: number,
  ): Promise<Outcome<Socks5Credentials | undefined>> {
    const offer = this.#greeting;
    if (offer?.noAuth === true && (required === false || (required === "if_offered" && !offer.password))) {
      const told = await writeWhole(client, encodeSocks5Choice("no_auth"), remainingMs(endsAt));
      this.#awaits = "reply";
      return told ? succeed(undefined) : fail("client_gone");
    }
    if (offer?.password !== true)
      return fail("credentials_required", { note: "no acceptable SOCKS5 method was offered" });
    const asked = await writeWhole(client, encodeSocks5Choice("password"), remainingMs(endsAt));
    if (!asked) return fail("client_gone");
    this.#awaits = "password_status";
    return readSocksMessage(client, parseSocks5Password, endsAt);
  }

  /** Accepts the password, if one was asked for, and reads the request. */
  async readRequest(client: Conn, endsAt: number): Promise<Outcome<Socks5Request>> {
    const status = this.#awaits === "password_status" ? encodeSocks5PasswordStatus(true) : NOTHING;
    if (!(await writeWhole(client, status, remainingMs(endsAt)))) return fail("client_gone");
    this.#awaits = "reply";
    return readSocksMessage(client, parseSocks5Request, endsAt);
  }

  formatEstablished(): Uint8Array {
    return encodeSocks5Reply("succeeded");
  }

  formatRefusal({ failure }: Pick<Refusal, "failure">): Uint8Array {
    switch (this.#awaits) {
      case "nothing":
        // Without a greeting, a client understands only that no method is acceptable.
        return failure.detail === "protocol_not_served" ? encodeSocks5Choice("none_acceptable") : NOTHING;
      case "method":
        return encodeSocks5Choice("none_acceptable");
      case "password_status":
        return encodeSocks5PasswordStatus(false);
      case "reply":
        return encodeSocks5Reply(nameSocks5Reply(failure));
      default:
        return this.#awaits satisfies never;
    }
  }
}

async function readSocksMessage<T>(
  client: Conn,
  parse: (bytes: Uint8Array) => Parsed<T>,
  endsAt: number,
): Promise<Outcome<T>> {
  const read = await readMessage(client, parse, { deadlineMs: remainingMs(endsAt), maxBytes: MAX_BYTES });
  switch (read.kind) {
    case "done":
      return succeed(read.value);
    case "bad":
      return fail(read.code === "address_type_not_supported" ? "bad_target" : "malformed_request", { note: read.code });
    case "too_large":
      return fail("malformed_request", { note: "too_long" });
    case "timeout":
      return fail("handshake_timeout");
    case "closed":
      return fail("client_gone");
    default:
      return read satisfies never;
  }
}

/** One byte says why (RFC 1928 §6). */
function nameSocks5Reply(failure: Failure): Parameters<typeof encodeSocks5Reply>[0] {
  switch (failure.detail) {
    case "command_not_supported":
      return "command_not_supported";
    case "bad_target":
      return failure.note === "address_type_not_supported" ? "address_type_not_supported" : "general_failure";
    case "connection_refused":
      return "connection_refused";
    case "address_unroutable":
      return "network_unreachable";
    case "dns_error":
    case "dns_timeout":
      return "host_unreachable";
    case "connection_timeout":
      return "ttl_expired";
    default:
      return describeFailure(failure.detail).blame === "policy" ? "not_allowed" : "general_failure";
  }
}
