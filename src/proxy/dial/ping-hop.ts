import { type Endpoint, formatEndpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import { type Ip, parseIp } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { readMessage } from "../../net/conn/read-message.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import { createResponseHeadParser } from "../../protocol/http1/response-head.ts";
import type { Parsed } from "../../protocol/parsed.ts";
import type { Failure } from "../failure.ts";
import type { Hop } from "../route/hop.ts";
import type { Reaction } from "../upstream/silence.ts";
import { checkDecision, NOBODY } from "./check-member.ts";
import { dialWithin } from "./dial.ts";
import type { DialServices } from "./dial-context.ts";

/** The upstreams up to the one that is pinged, which is the last. */
export interface PingPath {
  readonly hops: readonly Hop[];
  readonly sourceAddress?: string;
}

/** What an upstream is asked: whether it is there, or whether it accepts our login. */
export type PingQuestion = "presence" | "login";

/** Milliseconds in which an upstream that works reacts: it has nobody to ask. */
const PING_MS = 1000;

/** Nobody can connect to the broadcast address, and every system knows that at once. */
const NOWHERE: Endpoint = { host: hostFromIp(parseIp("255.255.255.255") as Ip), port: 443 };

const HEAD_LIMITS = { maxBytes: 16 * 1024, maxFields: 100 };

/** Failures after which an upstream is there, and does not do what it should. */
const wrong: ReadonlySet<string> = new Set([
  "connection_reset",
  "upstream_protocol",
  "tls_certificate",
  "tls_alert",
  "tls_protocol",
]);

const ANSWERED: Reaction = { kind: "answered" };
const REFUSED: Reaction = { kind: "refused" };
const WRONG: Reaction = { kind: "wrong" };
const SILENT: Reaction = { kind: "silent" };
const UNKNOWN: Reaction = { kind: "unknown" };

/**
 * Asks an upstream something that it answers by itself: an HTTP proxy what it can
 * do (`OPTIONS *` with Max-Forwards 0, RFC 9110 §7.6.2 and §9.3.7), a SOCKS
 * server for its method, and for our login both for a tunnel that leads nowhere.
 * No target has a part in the answer, and no client.
 */
export async function pingHop(path: PingPath, question: PingQuestion, services: DialServices): Promise<Reaction> {
  const limit = new TimeLimit(PING_MS);
  try {
    const reached = await reach(path, question, services, limit);
    if ("kind" in reached) return reached;
    const reaction = await ask(path.hops.at(-1) as Hop, reached, limit);
    reached.reset();
    return reaction;
  } finally {
    limit.release();
  }
}

/** Connects to the upstream, over TLS when it speaks that; for our login through it to nowhere. */
async function reach(
  path: PingPath,
  question: PingQuestion,
  services: DialServices,
  limit: TimeLimit,
): Promise<Conn | Reaction> {
  const hop = path.hops.at(-1);
  if (hop === undefined) return UNKNOWN;
  const request = {
    requester: { ...NOBODY, runtime: { timeouts: { connectMs: PING_MS } } },
    client: undefined,
    target: question === "login" ? NOWHERE : hop.endpoint,
    route: { name: hop.name, ...path },
    grant: { decision: checkDecision },
    wish: { endAtUpstream: question === "presence" },
  };
  const outcome = await dialWithin(request, services, limit);
  if (!outcome.ok) return explain(outcome.failure, hop);
  if (question === "presence") return outcome.value.conn;
  outcome.value.conn.reset();
  return ANSWERED;
}

function explain({ culprit, detail, nextHop, unclear }: Failure, { name }: Hop): Reaction {
  if (detail === "upstream_credentials" && nextHop === name) return REFUSED;
  // It has answered, or may be busy with what it was asked for.
  if (culprit !== name || unclear === true) return nextHop === name && culprit === undefined ? ANSWERED : UNKNOWN;
  return wrong.has(detail) ? WRONG : SILENT;
}

/** RFC 1928 §3: no authentication, or user name and password. */
const SOCKS5_GREETING = Buffer.of(5, 2, 0, 2);

/** SOCKS4a has no such question. It is asked for port 0 of no address. */
const SOCKS4_REQUEST = Buffer.of(4, 1, 0, 0, 0, 0, 0, 0, 0);

/** Asks on a connection to the upstream, and waits for the beginning of its answer. */
async function ask({ kind, endpoint }: Hop, conn: Conn, limit: TimeLimit): Promise<Reaction> {
  if (kind === "socks4a") return hear(conn, SOCKS4_REQUEST, limit, (bytes) => readVersion(bytes, 0));
  if (kind !== "http" && kind !== "https") return hear(conn, SOCKS5_GREETING, limit, (bytes) => readVersion(bytes, 5));
  const lines = ["OPTIONS * HTTP/1.1", `Host: ${formatEndpoint(endpoint)}`, "User-Agent: penstock"];
  lines.push("Max-Forwards: 0", "Connection: close", "", "");
  const parser = createResponseHeadParser(HEAD_LIMITS);
  return hear(conn, Buffer.from(lines.join("\r\n"), "latin1"), limit, (bytes) => parser.parse(bytes));
}

function readVersion(bytes: Uint8Array, version: number): Parsed<undefined, "bad_version"> {
  return bytes[0] === version
    ? { kind: "done", value: undefined, used: bytes.length }
    : { kind: "bad", code: "bad_version", at: 0 };
}

async function hear<T, Code extends string>(
  conn: Conn,
  question: Uint8Array,
  limit: TimeLimit,
  parse: (bytes: Uint8Array) => Parsed<T, Code>,
): Promise<Reaction> {
  conn.write(question);
  const { maxBytes } = HEAD_LIMITS;
  const read = await readMessage(conn, parse, { deadlineMs: limit.remainingMs, maxBytes: maxBytes + 1 });
  if (read.kind === "done") return ANSWERED;
  return read.kind === "timeout" && read.received === 0 ? SILENT : WRONG;
}
