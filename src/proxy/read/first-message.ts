import type { Conn } from "../../net/conn/conn.ts";
import { MessageReader, type ReadResult } from "../../net/conn/read-message.ts";
import type { HeadParser } from "../../protocol/http1/head-parser.ts";
import { createRequestHeadParser, type RequestHead, type RequestHeadError } from "../../protocol/http1/request-head.ts";
import { CR, LF } from "../../protocol/http1/octets.ts";
import type { Parsed } from "../../protocol/parsed.ts";
import { parseSocks4Request, type Socks4Request, type Socks4RequestError } from "../../protocol/socks/socks4-server.ts";
import { parseSocks5Greeting, type Socks5Greeting } from "../../protocol/socks/socks5-server.ts";
import { fail, type FailureDetail, type Outcome, succeed } from "../failure.ts";
import type { ClientProtocol, Session } from "../session.ts";
import { remainingHandshakeMs } from "./handshake-deadline.ts";
import { limitHeads } from "./limit-heads.ts";

/** The first message of a client: its first byte tells which protocol it speaks. */
export type Hello =
  | { readonly protocol: "http"; readonly head: RequestHead }
  | { readonly protocol: "socks5"; readonly greeting: Socks5Greeting }
  | { readonly protocol: "socks4"; readonly request: Socks4Request };

type HelloError = RequestHeadError | Socks4RequestError | "bad_version" | "protocol_not_served" | "tls";

/** `silent`: the client said nothing before it left or its time was over. That is no request, and nothing failed. */
type FirstMessage = Outcome<Hello> | "silent";

/**
 * Reads what a client says first, under a deadline and a cap. Every byte after
 * it stays with the connection, for the target, after the dial.
 */
export function readHello(
  session: Session,
  client: Conn,
  protocols: ReadonlySet<ClientProtocol>,
): FirstMessage | Promise<FirstMessage> {
  return new HelloReader(session, client, protocols).read(remainingHandshakeMs(session));
}

/** Takes a head that was read already for the first message of another request. */
export function takeHead(session: Session, head: RequestHead): Outcome<Hello> {
  session.protocol = "http";
  noteHead(session, head);
  return succeed({ protocol: "http", head });
}

class HelloReader extends MessageReader<Hello, HelloError, FirstMessage> {
  readonly #session: Session;
  readonly #protocols: ReadonlySet<ClientProtocol>;
  /** Once the first byte has told that it is needed. */
  #headParser: HeadParser<RequestHead, RequestHeadError> | undefined;
  /** What came is no more than the empty line that may stand before a request (RFC 9112 §2.2). */
  #saidNothing = true;

  constructor(session: Session, client: Conn, protocols: ReadonlySet<ClientProtocol>) {
    super(client, session.runtime.limits.headBytes + 1);
    this.#session = session;
    this.#protocols = protocols;
  }

  protected override parse(bytes: Uint8Array): Parsed<Hello, HelloError> {
    const session = this.#session;
    this.#saidNothing = bytes[0] === CR && (bytes.length === 1 || (bytes.length === 2 && bytes[1] === LF));
    if (session.protocol === undefined) {
      if (bytes[0] === TLS_HANDSHAKE && bytes.length < 2) return MORE;
      if (bytes[0] === TLS_HANDSHAKE && bytes[1] === TLS_MAJOR) return TLS;
      session.protocol = recogniseProtocol(bytes[0]);
    }
    if (!this.#protocols.has(session.protocol)) return NOT_SERVED;
    switch (session.protocol) {
      case "socks5": {
        const parsed = parseSocks5Greeting(bytes);
        if (parsed.kind !== "done") return parsed;
        return { kind: "done", value: { protocol: "socks5", greeting: parsed.value }, used: parsed.used };
      }
      case "socks4": {
        const parsed = parseSocks4Request(bytes);
        if (parsed.kind !== "done") return parsed;
        return { kind: "done", value: { protocol: "socks4", request: parsed.value }, used: parsed.used };
      }
      case "http": {
        this.#headParser ??= createRequestHeadParser(limitHeads(session.runtime.limits));
        const parsed = this.#headParser.parse(bytes);
        if (parsed.kind !== "done") return parsed;
        return { kind: "done", value: { protocol: "http", head: parsed.value }, used: parsed.used };
      }
      default:
        return session.protocol satisfies never;
    }
  }

  protected override judge(read: ReadResult<Hello, HelloError>): FirstMessage {
    const isOver = read.kind === "timeout" || read.kind === "closed";
    return isOver && this.#saidNothing ? "silent" : judgeHello(this.#session, read);
  }
}

const MORE = { kind: "more" } as const;
const NOT_SERVED = { kind: "bad", code: "protocol_not_served", at: 0 } as const;
const TLS = { kind: "bad", code: "tls", at: 0 } as const;

/** A TLS record with a handshake message, of any version since SSL 3 (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16;
const TLS_MAJOR = 3;

function judgeHello(session: Session, read: ReadResult<Hello, HelloError>): Outcome<Hello> {
  switch (read.kind) {
    case "done":
      if (read.value.protocol === "http") noteHead(session, read.value.head);
      return succeed(read.value);
    case "bad":
      if (read.code === "tls")
        return fail("protocol_not_served", { note: "the client speaks TLS, this listener does not" });
      return fail(judgeHelloError(read.code), { note: read.code });
    case "too_large":
      return fail("head_too_large");
    case "timeout":
      return fail("handshake_timeout");
    case "closed":
      // A client that sent FIN may still read: tell it that what it sent is not a request.
      if (read.reset) return fail("client_gone");
      return fail("malformed_request", { note: "the request ended in the middle of its head" });
    default:
      return read satisfies never;
  }
}

function noteHead(session: Session, head: RequestHead): void {
  if (head.method === "CONNECT") {
    // Not the part of the head that says so: that would keep all of it in memory as long as the tunnel lives.
    session.method = "CONNECT";
    return;
  }
  session.method = head.method;
  session.requestHead = head;
}

/** SOCKS begins with its version as a byte, and no HTTP request can begin with one of those. */
function recogniseProtocol(firstByte: number | undefined): ClientProtocol {
  if (firstByte === 5) return "socks5";
  return firstByte === 4 ? "socks4" : "http";
}

function judgeHelloError(code: Exclude<HelloError, "tls">): FailureDetail {
  switch (code) {
    case "head_too_large":
    case "too_many_fields":
    case "request_line_too_long":
      return "head_too_large";
    case "version_not_supported":
    case "protocol_not_served":
      return code;
    default:
      return "malformed_request";
  }
}
