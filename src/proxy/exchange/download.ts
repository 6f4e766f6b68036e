import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import { PROXY_AUTHENTICATE } from "../../protocol/http1/field-names.ts";
import type { HopByHopError } from "../../protocol/http1/hop-by-hop.ts";
import { frameResponse } from "../../protocol/http1/message-framing.ts";
import { allowsNextResponse } from "../../protocol/http1/persistence.ts";
import {
  createResponseHeadParser,
  type ResponseHead,
  type ResponseHeadError,
} from "../../protocol/http1/response-head.ts";
import type { HeadParser } from "../../protocol/http1/head-parser.ts";
import type { Failure } from "../failure.ts";
import type { ForwardRequest } from "../read/forward-request.ts";
import { type BodyReader, createBodyReader } from "../../protocol/http1/body-reader.ts";
import { formatClientHead } from "./client-head.ts";
import { asksForConnectionAuth, judgeHeadError, saysChunked, supportsConnectionAuth } from "./judge-response.ts";
import type { ResponseEdits } from "../policy/message-edits.ts";
import { wasCut } from "../../net/runtime/secure-socket.ts";
import { HeldBytes } from "../../protocol/held-bytes.ts";
import type { OwnLines } from "./own-lines.ts";
import type { MessageFlow } from "./flow.ts";
import type { HeadToWrite } from "./head-to-write.ts";

/** Whom a download tells what happens at the origin's side. */
export interface DownloadOwner {
  /** Bytes of the body came. */
  touch(): void;
  /** Whether the client's connection is to end after this response; asked when its head is written. */
  closesClient(): boolean;
  /** The final head was passed on, its body not yet. */
  answering(): void;
  /** The response was read to its end. */
  downloaded(): void;
  /** The origin closed or reset before it said anything. */
  originSilent(reset: boolean): void;
  /** The origin ended its connection after its response. */
  originEnded(): void;
  failResponse(failure: Failure): void;
  /** The upstream that was asked to forward asks who we are; its Proxy-Authenticate values. */
  challenged(challenges: readonly string[]): void;
  /** There is room for writing to the origin again. */
  flushUp(): void;
}

export interface DownloadOptions {
  readonly request: Pick<ForwardRequest, "head" | "upgrade">;
  /** Our name in Via. */
  readonly via: string;
  /** Whether an upstream was asked to forward, and not the origin itself. */
  readonly asksUpstream: boolean;
  /** What the rule changes in the response. */
  readonly edits?: ResponseEdits | undefined;
  /** The line that says why the request would have been refused; undefined when it would not. */
  readonly reported?: string | undefined;
  /** Is told of the head of the final response. */
  readonly answered?: ((head: ResponseHead) => void) | undefined;
}

/** As many as a large set of cookies needs; four times what servers send by default. */
const HEAD_LIMITS = { maxBytes: 64 * 1024, maxFields: 256 };

/** Informational responses before a final one: room for progress reports, an end for a flood. */
const MAX_INTERIM = 256;

const NOTHING = new Uint8Array(0);

/** The way of one response from the origin to the client: 1xx as they come, the final head, its body. */
export class Download implements ConnSink {
  /** The status that was passed on. */
  status: number | undefined;
  /** The whole response was read. */
  done = false;
  /** It ends with the client's connection, so that only RST can say that it is not whole. */
  endsByClose = false;
  /** The origin switched protocols: what follows is not HTTP. */
  switched = false;
  /** The origin's connection can carry another exchange. */
  keepsOrigin = false;
  /** The origin asks for credentials that belong to its connection (`NTLM`, `Negotiate`). */
  bindsOrigin = false;
  readonly #owner: DownloadOwner;
  readonly #flow: MessageFlow;
  readonly #lines: OwnLines;
  readonly #held = new HeldBytes();
  readonly #parser: HeadParser<ResponseHead, ResponseHeadError> = createResponseHeadParser(HEAD_LIMITS, "all");
  #origin!: Conn;
  /** Of the response that is under way. */
  #options: DownloadOptions | undefined;
  /** Whether the final head is still to come. */
  #awaitsHead = true;
  #body: BodyReader | undefined;
  #interim = 0;
  /** The origin's FIN is the end of the body. */
  #endsWithOrigin = false;
  #ended = false;
  #endHeld = false;

  constructor(owner: DownloadOwner, flow: MessageFlow, lines: OwnLines) {
    this.#owner = owner;
    this.#flow = flow;
    this.#lines = lines;
  }

  /** Prepares for another response. */
  prepare(origin: Conn, options: DownloadOptions): void {
    this.status = undefined;
    this.done = false;
    this.endsByClose = false;
    this.switched = false;
    this.keepsOrigin = false;
    this.bindsOrigin = false;
    this.#held.clear();
    this.#parser.reset();
    this.#origin = origin;
    this.#options = options;
    this.#awaitsHead = true;
    this.#body = undefined;
    this.#interim = 0;
    this.#endsWithOrigin = false;
    this.#ended = false;
    this.#endHeld = false;
  }

  /** Whether nothing of a response came yet. */
  get silent(): boolean {
    return this.#awaitsHead && this.#interim === 0 && this.#held.length === 0;
  }

  /** Leaves the origin's connection detached. */
  release(): void {
    this.#options = undefined;
    this.#origin.detach();
    // What came with a 101 is of the new protocol.
    if (this.switched && this.#held.length > 0) this.#origin.unread(this.#held.append(NOTHING));
  }

  data(chunk: Uint8Array): void {
    if (this.#awaitsHead) this.#readHead(chunk);
    else if (this.#body !== undefined) this.#readBody(undefined, chunk, 0);
    else if (this.switched) this.#held.append(chunk);
    // More than the response: whatever it is, nobody asked for it.
    else this.keepsOrigin = false;
  }

  end(): void {
    // Behind what the client has not taken yet: a connection that was paused in time would not have said it.
    if (this.#flow.empty) this.#finish(false);
    else this.#endHeld = true;
  }

  /** The client has taken everything so far. */
  flushed(): void {
    if (!this.#endHeld) return;
    this.#endHeld = false;
    this.#finish(false);
  }

  drain(): void {
    this.#owner.flushUp();
  }

  close(reset: boolean): void {
    if (reset || !this.#endHeld) this.#finish(reset);
  }

  get #current(): DownloadOptions {
    if (this.#options === undefined) throw new Error("No response is under way");
    return this.#options;
  }

  #readHead(chunk: Uint8Array): void {
    const isFirst = this.#held.length === 0;
    const bytes = isFirst ? chunk : this.#held.append(chunk);
    const parsed = this.#parser.parse(bytes);
    if (parsed.kind === "more") {
      if (isFirst) this.#held.append(chunk);
      return;
    }
    if (parsed.kind === "bad") {
      this.#owner.failResponse({ detail: judgeHeadError(parsed.code), note: `${parsed.code} at byte ${parsed.at}` });
      return;
    }
    this.#held.clear();
    const { status } = parsed.value;
    if (status === 101) this.#switch(parsed.value, bytes, parsed.used);
    else if (status < 200) this.#passInterim(parsed.value, bytes, parsed.used);
    else this.#answer(parsed.value, bytes, parsed.used);
  }

  /** RFC 9110 §15.2: passed on to all who know 1xx. */
  #passInterim(head: ResponseHead, bytes: Uint8Array, used: number): void {
    this.#interim += 1;
    if (this.#interim > MAX_INTERIM) {
      this.#owner.failResponse({ detail: "bad_response", note: "too many informational responses" });
      return;
    }
    if (this.#current.request.head.version === "1.1") {
      const formatted = this.#formatPlain(head);
      if (typeof formatted === "string") {
        this.#owner.failResponse({ detail: "bad_response", note: formatted });
        return;
      }
      this.#flow.writeHead(formatted, NOTHING);
    }
    if (used < bytes.length) this.#readHead(bytes.subarray(used));
  }

  /** RFC 9110 §15.2.2: only who was asked may switch. */
  #switch(head: ResponseHead, bytes: Uint8Array, used: number): void {
    const formatted = this.#formatPlain(head);
    if (this.#current.request.upgrade === undefined || typeof formatted === "string") {
      const note = typeof formatted === "string" ? formatted : "101 that nobody asked for";
      this.#owner.failResponse({ detail: "bad_response", note });
      return;
    }
    this.#awaitsHead = false;
    this.switched = true;
    this.done = true;
    this.status = head.status;
    if (used < bytes.length) this.#held.append(bytes.subarray(used));
    this.#flow.writeHead(formatted, NOTHING);
    this.#owner.downloaded();
  }

  /** The head of a response that has no body. */
  #formatPlain(head: ResponseHead): HeadToWrite | HopByHopError {
    const { via, edits, reported } = this.#current;
    const plain = { chunked: false, close: false, bound: false };
    return formatClientHead(head, { via, lines: this.#lines, ...plain, edits, reported });
  }

  #answer(head: ResponseHead, bytes: Uint8Array, used: number): void {
    const { request, via, asksUpstream, edits, reported } = this.#current;
    const { head: requestHead } = request;
    const framing = frameResponse(head, requestHead.method);
    if (framing.kind === "bad" || framing.kind === "tunnel") {
      const note = framing.kind === "bad" ? framing.code : "no tunnel was asked for";
      this.#owner.failResponse({ detail: "bad_response", note });
      return;
    }
    if (head.status === 407) {
      this.#take407(head);
      return;
    }
    const knowsChunks = requestHead.version === "1.1";
    this.keepsOrigin = allowsNextResponse(head, framing);
    this.bindsOrigin = asksForConnectionAuth(head);
    this.#endsWithOrigin = framing.kind === "until-close";
    this.endsByClose = this.#endsWithOrigin || (framing.kind === "chunked" && !knowsChunks);
    const formatted = formatClientHead(head, {
      via,
      lines: this.#lines,
      chunked: knowsChunks && saysChunked(head, framing),
      close: this.endsByClose || this.#owner.closesClient(),
      // Who is asked to forward keeps the connection to the origin, and says whether it is the client's own.
      bound: this.bindsOrigin && (!asksUpstream || supportsConnectionAuth(head)),
      edits,
      reported,
    });
    if (typeof formatted === "string") {
      this.#owner.failResponse({ detail: "bad_response", note: formatted });
      return;
    }
    this.#current.answered?.(head);
    this.#awaitsHead = false;
    const length = framing.kind === "length" ? framing.length : framing.kind === "none" ? 0 : Number.POSITIVE_INFINITY;
    if (used + length <= bytes.length) {
      // All of it is here, as most are: nothing has to be remembered.
      if (used + length < bytes.length) this.keepsOrigin = false;
      this.status = head.status;
      this.#flow.writeHead(formatted, bytes, used, used + length);
      this.#complete();
      return;
    }
    this.#body = createBodyReader(framing, knowsChunks ? "chunks" : "data", "tolerant", edits?.fields.dropped);
    this.#readBody(formatted, bytes, used, head.status);
  }

  /** Passes on what there is of the body from an offset on; with the head in front of it when that is not written yet. */
  #readBody(head: HeadToWrite | undefined, bytes: Uint8Array, from: number, status = this.status): void {
    this.#owner.touch();
    const step = (this.#body as BodyReader).push(bytes, from);
    if (step.kind === "bad") {
      this.#owner.failResponse({ detail: "bad_response", note: step.code });
      return;
    }
    // Not before: a body that is malformed at once can still be refused.
    this.status = status;
    if (head === undefined) this.#flow.writePart(step.output, step.from, step.to);
    else this.#flow.writeHead(head, step.output, step.from, step.to);
    if (step.kind === "more") {
      if (head !== undefined) this.#owner.answering();
      return;
    }
    if (step.used < bytes.length) this.keepsOrigin = false;
    this.#body = undefined;
    this.#complete();
  }

  /** A 407 is between us and an upstream; from an origin it is nothing, and no client is to show its password for it. */
  #take407(head: ResponseHead): void {
    if (this.#current.asksUpstream) this.#owner.challenged(head.fields.getAll(PROXY_AUTHENTICATE));
    else this.#owner.failResponse({ detail: "bad_response", note: "407 from an origin", receivedStatus: 407 });
  }

  #complete(): void {
    this.done = true;
    this.#owner.downloaded();
  }

  #finish(reset: boolean): void {
    if (this.#ended) return;
    this.#ended = true;
    this.keepsOrigin = false;
    if (this.done) {
      this.#owner.originEnded();
    } else if (this.#awaitsHead) {
      if (this.#held.length === 0) this.#owner.originSilent(reset);
      else this.#owner.failResponse({ detail: "response_incomplete", note: "closed in the middle of the head" });
    } else if (this.#endsWithOrigin && !reset && !wasCut(this.#origin)) {
      this.#body = undefined;
      this.#complete();
    } else {
      this.#owner.failResponse({
        detail: "response_incomplete",
        note: `${reset ? "reset" : "closed"} in the middle of the body`,
      });
    }
  }
}
