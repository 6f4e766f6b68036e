import type { Conn, ConnSink } from "../../net/conn/conn.ts";
import { CR, LF } from "../../protocol/http1/octets.ts";
import { HOST } from "../../protocol/http1/field-names.ts";
import { bitOf } from "../../protocol/http1/fields.ts";
import { stripHopByHop } from "../../protocol/http1/hop-by-hop.ts";
import { frameResponse } from "../../protocol/http1/message-framing.ts";
import { allowsNextResponse } from "../../protocol/http1/persistence.ts";
import { createRequestHeadParser, type RequestHead } from "../../protocol/http1/request-head.ts";
import { createResponseHeadParser } from "../../protocol/http1/response-head.ts";
import { limitHeads } from "../handshake/limit-heads.ts";
import type { Runtime } from "../runtime.ts";
import type { Services } from "../services.ts";
import type { Session } from "../session.ts";
import { unwatchIdle, watchIdle } from "../tunnel/idle-watch.ts";
import type { Begun, ExchangeEvent } from "./begun.ts";
import { type BodyReader, createBodyReader } from "./body-reader.ts";
import { formatClientHead } from "./client-head.ts";
import { HEAD_LIMITS } from "./download.ts";
import { fillOriginHead, fitsScratch } from "./fill-scratch.ts";
import type { RequestUnderWay } from "./forwarding.ts";
import { closeOrigin, type Origin } from "./origin-pool.ts";
import { findLike, isStill, type Memory, openRepeat, remember } from "./recall.ts";
import { viewBytes } from "./scratch.ts";
import { Wait } from "./wait.ts";

/** What comes on a connection after requests that could be served here. It is detached. */
export type Next =
  /** Nobody asks any more: it is still to be closed. */
  | { readonly kind: "gone" }
  /** A request that takes the whole story; its bytes are unread. */
  | { readonly kind: "request" }
  /** A request that was begun here, and takes more than what is done here. */
  | { readonly kind: "begun"; readonly begun: Begun };

const GONE: Next = { kind: "gone" };
const REQUEST: Next = { kind: "request" };

const NOTHING = new Uint8Array(0);

/** Octets of CRLF. */
const EMPTY_LINE = 2;

/** How long a head is that is copied and kept while its answer is awaited; longer ones take the whole story. */
const MAX_HEAD = 16 * 1024;

/**
 * Waits on a kept connection for what follows the request `before`, and serves
 * it here for as long as requests are plain and like that one: what was found out
 * then holds for them, so that each is one write to an origin that is kept, and
 * one to the client. Whatever is not as usual is left to the whole story, which
 * also brings to its end what was begun here: nothing is decided twice, and
 * nothing differently.
 */
export function serveRepeats(before: Session, client: Conn, services: Services): Next | Promise<Next> {
  if (client.closed) return GONE;
  // Pipelined: it is here already. No request is as short as an empty line.
  if (client.unreadBytes > EMPTY_LINE) return REQUEST;
  if (before.runtime.forward.clientIdleMs <= 0) return GONE;
  return new Promise((resolve) => {
    client.attach(new Repeater(before, client, services, resolve));
  });
}

/** The consumer of a client's connection, between its requests and while a plain one is under way. */
class Repeater implements ConnSink {
  readonly #client: Conn;
  readonly #services: Services;
  readonly #resolve: (next: Next) => void;
  /** The account of the request that is under way, or of the last one. */
  #session: Session;
  /** What is remembered, once it was looked for, and by which of it the last request was served here. */
  #memories: readonly Memory[] | undefined;
  #memory: Memory | undefined;
  /** For the next request, for an answer, and for more of it: the latter are there once they were waited for. */
  readonly #waiting: Wait;
  readonly #waitingMs: number;
  #asking: Wait | undefined;
  #moving: Wait | undefined;
  #current: Wait;
  #originSide: OriginSide | undefined;
  /** Of the request that is under way. */
  #origin: Origin | undefined;
  #head: Uint8Array = NOTHING;
  #sent = 0;
  /** Of its response: 0 until the head was written. */
  #status = 0;
  #down = 0;
  #body: BodyReader | undefined;
  #keepsOrigin = false;
  /** A CR came, which may be of an empty line. */
  #heldCr = false;

  constructor(before: Session, client: Conn, services: Services, resolve: (next: Next) => void) {
    this.#session = before;
    this.#client = client;
    this.#services = services;
    this.#resolve = resolve;
    this.#waiting = new Wait(() => this.#leave(GONE));
    this.#waiting.lastActivity = performance.now();
    this.#current = this.#waiting;
    this.#waitingMs = before.runtime.forward.clientIdleMs;
    services.forwarding.waiting.add(this.#waiting);
    watchIdle(this.#waiting, this.#waitingMs);
  }

  // What the client does.

  data(chunk: Uint8Array): void {
    if (this.#origin !== undefined) {
      // The next request already: it waits until this one is answered.
      this.#handOver(this.#origin);
      this.#client.unread(chunk);
      return;
    }
    const request = this.#heldCr || chunk[0] === CR ? this.#skipEmptyLines(chunk) : chunk;
    if (request.length === 0 || this.#ask(request)) return;
    this.#leave(REQUEST);
    this.#client.unread(request);
  }

  /**
   * RFC 9112 §2.2: clients of old send an empty line after a body. No request
   * begins with it, and the client is as idle as before.
   */
  #skipEmptyLines(chunk: Uint8Array): Uint8Array {
    const bytes = this.#heldCr ? Buffer.concat([LONE_CR, chunk]) : chunk;
    let at = 0;
    while (bytes[at] === CR && bytes[at + 1] === LF) at += EMPTY_LINE;
    this.#heldCr = bytes.length === at + 1 && bytes[at] === CR;
    return this.#heldCr ? NOTHING : bytes.subarray(at);
  }

  end(): void {
    if (this.#origin === undefined) this.#leave(GONE);
    else this.#handOver(this.#origin, "client_ended");
  }

  drain(): void {
    // Every answer was taken whole.
  }

  close(): void {
    if (this.#origin === undefined) this.#leave(GONE);
    else this.#handOver(this.#origin, "client_gone");
  }

  /** Serves a request, unless it takes more than that. */
  #ask(chunk: Uint8Array): boolean {
    const { forwarding, runtime, draining } = this.#services;
    const { current } = runtime;
    this.#memories ??= forwarding.bound.has(this.#client) ? [] : remember(this.#session, this.#client);
    if (this.#memories[0]?.runtime !== current || draining || chunk.length > MAX_HEAD) return false;
    const parsed = createRequestHeadParser(limitHeads(current.limits)).parse(chunk);
    if (parsed.kind !== "done" || parsed.used !== chunk.length) return false;
    const head = parsed.value;
    const memory = findLike(this.#memories, head);
    if (memory === undefined) return false;
    if (!isStill(memory, this.#session, this.#client)) return false;
    const origin = forwarding.origins.take(memory.way.key, memory.way.fits);
    if (origin === undefined) return false;
    this.#session = openRepeat(this.#session, memory, origin.address);
    this.#memory = memory;
    this.#origin = origin;
    this.#status = 0;
    this.#down = 0;
    this.#turn(this.#watchAnswer(current), this.#session.stageSince);
    this.#send(origin, memory, head);
    return true;
  }

  /** There is nothing after the head: it is written, and the answer awaited. */
  #send(origin: Origin, memory: Memory, head: RequestHead): void {
    const { scratch } = this.#services.forwarding;
    const stripped = stripHopByHop(head.fields, bitOf(HOST));
    if (stripped.kind === "bad") throw new Error("A usual request nominates fields");
    const length = fillOriginHead(memory, head, stripped.fields, scratch);
    const taken = origin.conn.write(scratch.view(length));
    this.#sent = Math.max(0, taken);
    this.#head = head.octets;
    if (taken >= 0 && taken < length) this.#handOver(origin, undefined, scratch.keep(taken, length));
    else origin.conn.attach((this.#originSide ??= new OriginSide(this)));
  }

  /** Joins those who watch over the time, once for all requests. */
  #watch(wait: Wait, ms: number): Wait {
    watchIdle(wait, ms);
    return wait;
  }

  #watchAnswer({ timeouts }: Runtime): Wait {
    if (this.#asking === undefined) {
      const wait = new Wait(
        (why) => this.tell(why),
        () => this.#look(),
      );
      this.#asking = this.#watch(wait, timeouts.responseMs);
      this.#services.forwarding.exchanges.add(this.#asking);
    }
    return this.#asking;
  }

  #look(): RequestUnderWay | undefined {
    return this.#origin && { session: this.#session, up: this.#sent, down: this.#down };
  }

  // What the origin does.

  answer(chunk: Uint8Array): void {
    if (this.#status === 0) this.#beginAnswer(chunk);
    else this.#passBody(chunk);
  }

  /** Passes on the head of a plain response, with what there is of its body. */
  #beginAnswer(chunk: Uint8Array): void {
    const { forwarding, draining } = this.#services;
    const { scratch, clock } = forwarding;
    const parsed =
      draining || !fitsScratch(chunk.length, scratch) ? undefined : createResponseHeadParser(HEAD_LIMITS).parse(chunk);
    const head = parsed?.kind === "done" ? parsed.value : undefined;
    const framing = head === undefined ? undefined : frameResponse(head, "GET");
    if (
      parsed?.kind !== "done" ||
      head === undefined ||
      (framing?.kind !== "length" && framing?.kind !== "chunked") ||
      isSpecial(head.status)
    ) {
      this.#giveBack(chunk);
      return;
    }
    const { via } = (this.#memory as Memory).runtime.forward;
    const formatted = formatClientHead(head, {
      via,
      clock,
      chunked: framing.kind === "chunked",
      close: false,
      bound: false,
    });
    this.#body = createBodyReader(framing, "chunks", "tolerant");
    this.#keepsOrigin = allowsNextResponse(head, framing);
    const rest = viewBytes(chunk, parsed.used, chunk.length);
    const output = this.#body === undefined ? rest.subarray(0, 0) : this.#readBody(rest);
    if (!formatted.ok || typeof output === "string") {
      this.#giveBack(chunk);
      return;
    }
    this.#status = head.status;
    this.#write(scratch.view(scratch.put(output, 0, output.length, formatted.head.fill(scratch.bytes))), true);
  }

  #passBody(chunk: Uint8Array): void {
    const output = this.#readBody(chunk);
    if (typeof output === "string") this.tell({ detail: "bad_response", note: output });
    else this.#write(output, false);
  }

  /** Gives what is to be passed on, or what is wrong with it. */
  #readBody(bytes: Uint8Array): Uint8Array | string {
    const step = (this.#body as BodyReader).push(bytes);
    if (step.kind === "bad") return step.code;
    if (step.kind === "done") {
      this.#body = undefined;
      if (step.used < bytes.length) this.#keepsOrigin = false;
    }
    return step.output;
  }

  /** Nothing of the response was written: it is read again by somebody else. */
  #giveBack(chunk: Uint8Array): void {
    const origin = this.#origin as Origin;
    this.#handOver(origin);
    origin.conn.unread(chunk);
  }

  /** Writes bytes of the response, which are the last ones when its body was read. */
  #write(bytes: Uint8Array, isScratch: boolean): void {
    const origin = this.#origin as Origin;
    const taken = bytes.length === 0 ? 0 : Math.max(0, this.#client.write(bytes));
    this.#down += taken;
    if (taken < bytes.length) {
      const unsent = isScratch
        ? this.#services.forwarding.scratch.keep(taken, bytes.length)
        : new Uint8Array(bytes.subarray(taken));
      this.#handOver(origin, undefined, unsent);
    } else if (this.#body === undefined) {
      this.#finish(origin, this.#memory as Memory);
    } else {
      this.#turn(
        (this.#moving ??= this.#watch(new Wait((why) => this.tell(why)), this.#session.runtime.timeouts.idleMs)),
      );
    }
  }

  /** Something happened that takes more than what is done here. */
  tell(event: ExchangeEvent): void {
    if (this.#origin !== undefined) this.#handOver(this.#origin, event);
  }

  /** Only this is waited for, from now on. */
  #turn(wait: Wait, since = performance.now()): void {
    this.#current.lastActivity = Number.POSITIVE_INFINITY;
    this.#current = wait;
    wait.lastActivity = since;
  }

  #finish(origin: Origin, memory: Memory): void {
    const { forwarding, recorder } = this.#services;
    const session = this.#session;
    session.status = this.#status;
    session.forwarded = { up: this.#sent, down: this.#down };
    this.#origin = undefined;
    this.#head = NOTHING;
    origin.conn.detach();
    if (this.#keepsOrigin) forwarding.origins.put(origin, memory.keeping);
    else closeOrigin(origin.conn);
    recorder.finished(session);
    this.#turn(this.#waiting);
  }

  /** `unsent`: what was not taken, of the response once that was begun, and of the request before. */
  #handOver(origin: Origin, event?: ExchangeEvent, unsent: Uint8Array = NOTHING): void {
    origin.conn.detach();
    const isAnswering = this.#status !== 0;
    const answer = isAnswering
      ? { status: this.#status, sent: this.#down, unsent, body: this.#body, keepsOrigin: this.#keepsOrigin }
      : undefined;
    const begun: Begun = {
      session: this.#session,
      head: this.#head,
      origin,
      sent: this.#sent,
      unsent: isAnswering ? NOTHING : unsent,
      answer,
      since: this.#current.lastActivity,
      event,
    };
    this.#leave({ kind: "begun", begun });
  }

  #leave(next: Next): void {
    const { forwarding } = this.#services;
    unwatchIdle(this.#waiting, this.#waitingMs);
    forwarding.waiting.delete(this.#waiting);
    if (this.#asking !== undefined) {
      const { responseMs, idleMs } = (this.#memory as Memory).runtime.timeouts;
      unwatchIdle(this.#asking, responseMs);
      forwarding.exchanges.delete(this.#asking);
      if (this.#moving !== undefined) unwatchIdle(this.#moving, idleMs);
    }
    this.#client.detach();
    this.#resolve(next);
  }
}

/** About the connection, or about proxies. */
function isSpecial(status: number): boolean {
  return status === 401 || status === 407 || status === 426;
}

const LONE_CR = Uint8Array.of(CR);

/** The consumer of the origin's connection while its answer is awaited. */
class OriginSide implements ConnSink {
  readonly #repeater: Repeater;

  constructor(repeater: Repeater) {
    this.#repeater = repeater;
  }

  data(chunk: Uint8Array): void {
    this.#repeater.answer(chunk);
  }

  end(): void {
    this.#repeater.tell("origin_ended");
  }

  drain(): void {
    // The request was taken whole.
  }

  close(reset: boolean): void {
    this.#repeater.tell(reset ? "origin_reset" : "origin_closed");
  }
}
