import type { Conn } from "../../net/conn.ts";
import { readMessage, type ReadResult } from "../../net/read-message.ts";
import { createRequestHeadParser, type RequestHead, type RequestHeadError } from "../../protocol/http1/request-head.ts";
import type { Parsed } from "../../protocol/parsed.ts";
import { parseSocks4Request, type Socks4Request, type Socks4RequestError } from "../../protocol/socks/socks4-server.ts";
import { parseSocks5Greeting, type Socks5Greeting } from "../../protocol/socks/socks5-server.ts";
import { fail, type FailureDetail, type Outcome, succeed } from "../failure.ts";
import type { ClientProtocol, Session } from "../session.ts";
import { remainingHandshakeMs } from "./handshake-deadline.ts";

/** The first message of a client: its first byte tells which protocol it speaks. */
export type Hello =
  | { readonly protocol: "http"; readonly head: RequestHead }
  | { readonly protocol: "socks5"; readonly greeting: Socks5Greeting }
  | { readonly protocol: "socks4"; readonly request: Socks4Request };

type HelloError = RequestHeadError | Socks4RequestError | "bad_version" | "protocol_not_served";

/**
 * Reads what a client says first, under a deadline and a cap. Every byte after
 * it stays with the connection, for the target, after the dial.
 */
export function readHello(
  session: Session,
  client: Conn,
  protocols: ReadonlySet<ClientProtocol>,
): Outcome<Hello> | Promise<Outcome<Hello>> {
  const { limits } = session.runtime;
  let parse: ((bytes: Uint8Array) => Parsed<Hello, HelloError>) | undefined;

  const read = readMessage<Hello, HelloError>(
    client,
    (bytes) => {
      parse ??= chooseParser(session, bytes, protocols);
      return parse(bytes);
    },
    { deadlineMs: remainingHandshakeMs(session), maxBytes: limits.headBytes + 1 },
  );
  return read instanceof Promise ? read.then((late) => judgeHello(session, late)) : judgeHello(session, read);
}

function judgeHello(session: Session, read: ReadResult<Hello, HelloError>): Outcome<Hello> {
  switch (read.kind) {
    case "done":
      if (read.value.protocol === "http") noteHead(session, read.value.head);
      return succeed(read.value);
    case "bad":
      return fail(judgeHelloError(read.code), { note: read.code });
    case "too_large":
      return fail("head_too_large");
    case "timeout":
      return fail("handshake_timeout");
    case "closed":
      // A client that sent FIN may still read: tell it that what it sent is not a request.
      if (read.reset || read.received === 0) return fail("client_gone");
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
function chooseParser(
  session: Session,
  bytes: Uint8Array,
  protocols: ReadonlySet<ClientProtocol>,
): (bytes: Uint8Array) => Parsed<Hello, HelloError> {
  session.protocol = recogniseProtocol(bytes[0]);
  if (!protocols.has(session.protocol)) return () => ({ kind: "bad", code: "protocol_not_served", at: 0 });
  switch (session.protocol) {
    case "socks5":
      return (all) => mapValue(parseSocks5Greeting(all), (greeting) => ({ protocol: "socks5", greeting }));
    case "socks4":
      return (all) => mapValue(parseSocks4Request(all), (request) => ({ protocol: "socks4", request }));
    case "http": {
      const { headBytes, headFields } = session.runtime.limits;
      const parser = createRequestHeadParser({ maxBytes: headBytes, maxFields: headFields });
      return (all) => mapValue(parser.parse(all), (head) => ({ protocol: "http", head }));
    }
    default:
      return session.protocol satisfies never;
  }
}

function recogniseProtocol(firstByte: number | undefined): ClientProtocol {
  if (firstByte === 5) return "socks5";
  return firstByte === 4 ? "socks4" : "http";
}

function mapValue<T, Code extends string>(parsed: Parsed<T, Code>, map: (value: T) => Hello): Parsed<Hello, Code> {
  return parsed.kind === "done" ? { kind: "done", value: map(parsed.value), used: parsed.used } : parsed;
}

function judgeHelloError(code: HelloError): FailureDetail {
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
