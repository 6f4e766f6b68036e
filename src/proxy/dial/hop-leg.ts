import type { Conn } from "../../net/conn/conn.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import { readTlsAlert } from "../../net/runtime/secure-socket.ts";
import type { Parsed } from "../../protocol/parsed.ts";
import { fail, type Failure, type FailureDetail, type Outcome, succeed } from "../failure.ts";
import type { Login } from "../route/hop-login.ts";
import type { Hop } from "../route/hop.ts";
import type { Upstream } from "../upstream/upstreams.ts";
import type { TimeLimit } from "../../net/conn/time-limit.ts";

/** A connection to an upstream that was not asked for anything yet. */
export interface HopLeg {
  readonly conn: Conn;
  readonly hop: Hop;
  /** Our credentials there; undefined for none. */
  readonly login: Login | undefined;
  readonly upstream: Upstream;
  readonly limit: TimeLimit;
  /** It was asked for what is behind it: from now on that may be what takes time. */
  asked?: boolean;
}

/** The answer of an upstream that was asked for a tunnel. */
export type HopAnswer =
  | { readonly ok: true; readonly value: undefined }
  /** `again`: the upstream that asked for credentials, which it takes only on another connection. */
  | { readonly ok: false; readonly failure: Failure; readonly again?: Hop };

/** Makes a failure of the upstream of this leg, which has failed by itself. */
export function failHop(
  leg: HopLeg,
  detail: FailureDetail,
  more: Omit<Failure, "detail" | "nextHop"> = {},
): { ok: false; failure: Failure } {
  const { name } = leg.hop;
  return fail(detail, { ...more, nextHop: name, culprit: name });
}

/**
 * Makes a failure of our login at the upstream of this leg. Where a client has a part
 * in the user name, the upstream is not blamed: a client could have it left out.
 */
export function refuseLogin(
  leg: HopLeg,
  more: Omit<Failure, "detail" | "nextHop"> = {},
): { ok: false; failure: Failure } {
  return typeof leg.hop.credentials?.user === "object"
    ? passOnFailure(leg, "upstream_credentials", more)
    : failHop(leg, "upstream_credentials", more);
}

/** Makes a failure that the upstream of this leg reports: something behind it has failed, or may not be reached. */
export function passOnFailure(
  leg: HopLeg,
  detail: FailureDetail,
  more: Omit<Failure, "detail" | "nextHop"> = {},
): { ok: false; failure: Failure } {
  return fail(detail, { ...more, nextHop: leg.hop.name });
}

/** Sends a message to the upstream. Messages before a tunnel fit into a socket buffer. */
export function say(leg: HopLeg, message: Uint8Array): Outcome<undefined> {
  if (leg.conn.write(message) === message.length) return succeed(undefined);
  return failHop(leg, "connection_reset", { note: "closed before it was asked" });
}

/** Reads one answer of the upstream. Bytes after it stay unread. */
export async function hear<T>(
  leg: HopLeg,
  parse: (bytes: Uint8Array) => Parsed<T>,
  maxBytes: number,
): Promise<Outcome<T>> {
  const { conn, limit } = leg;
  limit.whenOver(() => conn.reset());
  const read = await readMessage(conn, parse, { deadlineMs: limit.remainingMs, maxBytes });
  limit.forget();
  if (limit.over === "client_gone") return fail("client_gone");
  switch (read.kind) {
    case "done":
      return succeed(read.value);
    case "bad":
      return failHop(leg, "upstream_protocol", { note: `${read.code} at byte ${read.at}` });
    case "too_large":
      return failHop(leg, "upstream_protocol", { note: "head_too_large" });
    case "timeout":
      return failLate(leg);
    case "closed":
      return limit.over === "deadline" ? failLate(leg) : explainEnd(leg, read.reset, read.received);
    default:
      return read satisfies never;
  }
}

function failLate(leg: HopLeg): { ok: false; failure: Failure } {
  return failHop(leg, "upstream_timeout", doubt(leg));
}

/** Once it was asked for something behind it, that may be what failed. */
function doubt({ asked }: HopLeg): Pick<Failure, "unclear"> {
  return asked === true ? { unclear: true } : {};
}

function explainEnd(leg: HopLeg, reset: boolean, received: number): { ok: false; failure: Failure } {
  const alert = readTlsAlert(leg.conn);
  if (alert !== undefined) return failHop(leg, "tls_alert", { note: alert });
  const when = received === 0 ? "before its answer" : "in the middle of its answer";
  return failHop(leg, "connection_reset", { note: `${reset ? "reset" : "closed"} ${when}`, ...doubt(leg) });
}
