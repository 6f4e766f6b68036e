import type { Conn } from "../../net/conn/conn.ts";
import { remainingMs } from "../../net/conn/deadlines.ts";
import { MessageReader, type ReadResult } from "../../net/conn/read-message.ts";
import type { HeadLimits, HeadParser } from "../../protocol/http1/head-parser.ts";
import { createRequestHeadParser, type RequestHead, type RequestHeadError } from "../../protocol/http1/request-head.ts";
import { CR, LF } from "../../protocol/http1/octets.ts";
import type { Parsed } from "../../protocol/parsed.ts";
import { parseSocks4Request, type Socks4Request, type Socks4RequestError } from "../../protocol/socks/socks4-server.ts";
import { parseSocks5Greeting } from "../../protocol/socks/socks5-server.ts";
import type { Failure, FailureDetail } from "../failure.ts";
import type { ClientProtocol } from "../record/request-record.ts";
import { Socks5Handshake } from "./socks5-handshake.ts";

/** The first message of a client: its first byte tells which protocol it speaks. */
export type FirstMessage =
  | { readonly protocol: "http"; readonly head: RequestHead }
  | { readonly protocol: "socks5"; readonly handshake: Socks5Handshake }
  | { readonly protocol: "socks4"; readonly request: Socks4Request };

type FirstMessageError = RequestHeadError | Socks4RequestError | "bad_version" | "protocol_not_served" | "tls";

/** The first message; or why there is none, and the protocol when it is known. */
export type FirstMessageRead =
  | { readonly ok: true; readonly value: FirstMessage }
  /** `silent`: the client sent nothing before it closed or timed out. That is not a failure. */
  | { readonly ok: false; readonly failure: Failure | "silent"; readonly protocol: ClientProtocol | undefined };

export interface FirstMessageLimits {
  /** The protocols of the listener. */
  readonly protocols: ReadonlySet<ClientProtocol>;
  /** Limits of an HTTP request head. */
  readonly head: HeadLimits;
  /** Monotonic milliseconds at which `handshake` times out. */
  readonly endsAt: number;
  /** Has those clients that are waited for. */
  readonly newcomers: Set<Newcomer>;
}

/** A client whose first message is waited for. */
export interface Newcomer {
  /** Waits no longer when nothing came. */
  giveUpSilent(): void;
}

/**
 * Reads the first message of a client. Bytes after it stay unread: they are for the
 * target.
 */
export function readFirstMessage(
  client: Conn,
  limits: FirstMessageLimits,
): FirstMessageRead | Promise<FirstMessageRead> {
  return new FirstMessageReader(client, limits).read(remainingMs(limits.endsAt));
}

class FirstMessageReader extends MessageReader<FirstMessage, FirstMessageError, FirstMessageRead> implements Newcomer {
  readonly #limits: FirstMessageLimits;
  /** Known from the first byte on. */
  #protocol: ClientProtocol | undefined;
  /** Made when the first byte shows that the client speaks HTTP. */
  #headParser: HeadParser<RequestHead, RequestHeadError> | undefined;
  /** Nothing came but the empty line that may precede a request (RFC 9112 §2.2). */
  #saidNothing = true;

  constructor(client: Conn, limits: FirstMessageLimits) {
    super(client, limits.head.maxBytes + 1);
    this.#limits = limits;
  }

  override read(deadlineMs: number): FirstMessageRead | Promise<FirstMessageRead> {
    const read = super.read(deadlineMs);
    if (read instanceof Promise) this.#limits.newcomers.add(this);
    return read;
  }

  giveUpSilent(): void {
    if (this.#saidNothing) this.expire();
  }

  protected override parse(bytes: Uint8Array): Parsed<FirstMessage, FirstMessageError> {
    this.#saidNothing = bytes[0] === CR && (bytes.length === 1 || (bytes.length === 2 && bytes[1] === LF));
    if (this.#protocol === undefined) {
      if (bytes[0] === TLS_HANDSHAKE && bytes.length < 2) return MORE;
      if (bytes[0] === TLS_HANDSHAKE && bytes[1] === TLS_MAJOR) return TLS;
      this.#protocol = recogniseProtocol(bytes[0]);
    }
    if (!this.#limits.protocols.has(this.#protocol)) return NOT_SERVED;
    switch (this.#protocol) {
      case "socks5": {
        const parsed = parseSocks5Greeting(bytes);
        if (parsed.kind !== "done") return parsed;
        return { ...parsed, value: { protocol: "socks5", handshake: new Socks5Handshake(parsed.value) } };
      }
      case "socks4": {
        const parsed = parseSocks4Request(bytes);
        if (parsed.kind !== "done") return parsed;
        return { ...parsed, value: { protocol: "socks4", request: parsed.value } };
      }
      case "http": {
        this.#headParser ??= createRequestHeadParser(this.#limits.head);
        const parsed = this.#headParser.parse(bytes);
        if (parsed.kind !== "done") return parsed;
        return { kind: "done", value: { protocol: "http", head: parsed.value }, used: parsed.used };
      }
      default:
        return this.#protocol satisfies never;
    }
  }

  protected override judge(read: ReadResult<FirstMessage, FirstMessageError>): FirstMessageRead {
    this.#limits.newcomers.delete(this);
    if (read.kind === "done") return { ok: true, value: read.value };
    const isOver = read.kind === "timeout" || read.kind === "closed";
    const failure = isOver && this.#saidNothing ? "silent" : explainFailure(read);
    return { ok: false, failure, protocol: this.#protocol };
  }
}

const MORE = { kind: "more" } as const;
const NOT_SERVED = { kind: "bad", code: "protocol_not_served", at: 0 } as const;
const TLS = { kind: "bad", code: "tls", at: 0 } as const;

/** A TLS record with a handshake message, of any version since SSL 3 (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16;
const TLS_MAJOR = 3;

function explainFailure(read: Exclude<ReadResult<FirstMessage, FirstMessageError>, { kind: "done" }>): Failure {
  switch (read.kind) {
    case "bad":
      if (read.code === "tls")
        return { detail: "protocol_not_served", note: "the client speaks TLS, this listener does not" };
      return { detail: judgeCode(read.code), note: read.code };
    case "too_large":
      return { detail: "head_too_large" };
    case "timeout":
      return { detail: "handshake_timeout" };
    case "closed":
      // A client that sent FIN can still read a reply.
      if (read.reset) return { detail: "client_gone" };
      return { detail: "malformed_request", note: "the request ended in the middle of its head" };
    default:
      return read satisfies never;
  }
}

/** SOCKS begins with its version as a byte, and no HTTP request can begin with one of those. */
export function recogniseProtocol(firstByte: number | undefined): ClientProtocol {
  if (firstByte === 5) return "socks5";
  return firstByte === 4 ? "socks4" : "http";
}

function judgeCode(code: Exclude<FirstMessageError, "tls">): FailureDetail {
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
