import type { Conn } from "../../net/conn/conn.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import type { Parsed } from "../../protocol/parsed.ts";
import { fail, type Outcome, succeed } from "../failure.ts";
import type { Session } from "../session.ts";
import { remainingHandshakeMs } from "./handshake-deadline.ts";

/** The longest message of a SOCKS client after its first: user name and password with their lengths (RFC 1929). */
const MAX_BYTES = 513;

/** Reads one more message of a SOCKS client, within what is left of the handshake's time. */
export async function readSocksMessage<T>(
  session: Session,
  client: Conn,
  parse: (bytes: Uint8Array) => Parsed<T>,
): Promise<Outcome<T>> {
  const read = await readMessage(client, parse, { deadlineMs: remainingHandshakeMs(session), maxBytes: MAX_BYTES });
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
