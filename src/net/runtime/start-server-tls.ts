import type { Parsed } from "../../protocol/parsed.ts";
import { encodeFatalAlert } from "../../protocol/tls/read/alert.ts";
import { recogniseFirstBytes } from "../../protocol/tls/read/recognise-first-bytes.ts";
import type { GaveUpReason } from "../../protocol/tls/read/tls-event.ts";
import { TlsWatcher } from "../../protocol/tls/read/tls-watcher.ts";
import { readMessage } from "../conn/read-message.ts";
import { failHandshake, handshakeAsServer, type ServerHandshake } from "./server-handshake.ts";
import type { ServerTls } from "./server-tls.ts";
import type { SocketConn } from "./socket-conn.ts";
import type { TlsContext } from "./tls-contexts.ts";

/** The limit of BoringSSL and other TLS libraries for a ClientHello. */
const MAX_HELLO_BYTES = 16_384;
/** Room for such a hello in records of a few bytes each. */
const MAX_HELLO_RECORDS_BYTES = 65_536;

/**
 * Speaks TLS as the server over an accepted connection, which must be detached;
 * its unread bytes are the beginning. `conn` belongs to the encrypted connection
 * from then on. The whole handshake has `deadlineMs` milliseconds, or less when
 * `signal` ends it. Until the ClientHello is there, resetting `conn` ends it, too.
 *
 * The ClientHello is read here, before the TLS library gets it: it chooses the
 * certificate, and shows whether the client speaks TLS at all.
 */
export async function startServerTls(
  conn: SocketConn,
  tls: ServerTls,
  deadlineMs: number,
  signal?: AbortSignal,
): Promise<ServerHandshake> {
  const deadline = performance.now() + deadlineMs;
  const read = await readMessage(conn, createHelloParser(tls.challenges !== undefined), {
    deadlineMs,
    maxBytes: MAX_HELLO_RECORDS_BYTES,
  });
  if (read.kind === "done") return goOn(conn, tls, read.value, deadline - performance.now(), signal);
  switch (read.kind) {
    case "timeout":
      conn.reset();
      if (read.received === 0) return failHandshake("silent", "no ClientHello came in time");
      return failHandshake("timeout", "no ClientHello came in time");
    case "closed":
      conn.close();
      if (read.received === 0) return failHandshake("silent", "the client said nothing");
      return failHandshake("gone", "the client closed the connection before its ClientHello");
    case "too_large":
      return refuse(conn, "decode_error", "the ClientHello is too large");
    case "bad":
      if (read.code === "plain_http") return failHandshake("plain_http", "the client speaks HTTP without TLS", conn);
      return refuse(conn, "decode_error", helloNotes[read.code]);
    default:
      return read satisfies never;
  }
}

/** Chooses the certificate for a ClientHello, and goes on with it. */
function goOn(
  conn: SocketConn,
  tls: ServerTls,
  { serverName, isChallenge }: HelloFacts,
  leftMs: number,
  signal?: AbortSignal,
): ServerHandshake | Promise<ServerHandshake> {
  // Names of other certificates are none of the authority's business: they get the usual answer.
  const challenge = isChallenge ? tls.challenges?.get((serverName ?? "").toLowerCase()) : undefined;
  if (challenge !== undefined) return showChallenge(conn, challenge, serverName, leftMs, signal);
  const context = tls.choose(serverName);
  // RFC 8446 §6.2 has no better word for a server that is not ready.
  if (context === undefined) return refuse(conn, "internal_error", "the listener has no certificate yet");
  return handshakeAsServer(conn, { tls, context, serverName, protocol: "http/1.1" }, leftMs, signal);
}

/** Shows an authority the certificate that it looks for. Both sides close after the handshake (RFC 8737 §3). */
async function showChallenge(
  conn: SocketConn,
  context: TlsContext,
  serverName: string | undefined,
  leftMs: number,
  signal?: AbortSignal,
): Promise<ServerHandshake> {
  const tls: ServerTls = { choose: () => context, clients: "none", clientAuthorities: [] };
  const done = await handshakeAsServer(
    conn,
    { tls, context, serverName, protocol: CHALLENGE_PROTOCOL },
    leftMs,
    signal,
  );
  if (!done.ok) return done;
  done.conn.close();
  return failHandshake("silent", "an authority looked at the certificate of a challenge");
}

/** RFC 8737 §6.2. */
const CHALLENGE_PROTOCOL = "acme-tls/1";

const helloNotes: Readonly<Record<GaveUpReason, string>> = {
  not_tls: "the client speaks no TLS",
  malformed: "the ClientHello is malformed",
  too_long: "the ClientHello is too large",
};

/** What the proxy needs of a ClientHello. */
interface HelloFacts {
  readonly serverName: string | undefined;
  /** Whether an authority asks for the certificate of a challenge (RFC 8737 §3): for that protocol alone. */
  readonly isChallenge: boolean;
}

/** Parses a ClientHello and uses none of its bytes: the TLS library reads them again. */
function createHelloParser(
  looksForChallenges: boolean,
): (bytes: Uint8Array) => Parsed<HelloFacts, GaveUpReason | "plain_http"> {
  const watcher = new TlsWatcher({ from: "client", maxMessageBytes: MAX_HELLO_BYTES });
  let seen = 0;
  return (bytes) => {
    // One byte shows that it is no TLS; a few more show whether it is HTTP.
    if (bytes[0] !== 0x16) {
      const speaks = recogniseFirstBytes(bytes);
      if (speaks === "more") return { kind: "more" };
      return { kind: "bad", code: speaks === "http" ? "plain_http" : "not_tls", at: 0 };
    }
    const [event] = watcher.push(bytes.subarray(seen));
    seen = bytes.length;
    if (event === undefined) return { kind: "more" };
    if (event.kind === "handshake" && event.message.type === "client_hello") {
      const { serverName } = event.message;
      // The hot path: most listeners have no use for it.
      const isChallenge = looksForChallenges && isForChallenge(event.message.alpn);
      return { kind: "done", value: { serverName, isChallenge }, used: 0 };
    }
    return { kind: "bad", code: event.kind === "gave_up" ? event.reason : "not_tls", at: event.at };
  };
}

function isForChallenge(protocols: readonly string[]): boolean {
  return protocols.length === 1 && protocols[0] === CHALLENGE_PROTOCOL;
}

/** Tells the client why with a TLS alert, and closes. */
function refuse(conn: SocketConn, alert: Parameters<typeof encodeFatalAlert>[0], note: string): ServerHandshake {
  conn.write(encodeFatalAlert(alert));
  conn.close();
  return failHandshake("protocol", note);
}
