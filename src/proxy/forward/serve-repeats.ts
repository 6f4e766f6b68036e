import type { Conn, ConnSink } from "../../net/conn.ts";
import { type PlainRequest, readPlainRequest } from "../../protocol/http1/plain-request.ts";
import { type PlainResponse, readPlainResponse } from "../../protocol/http1/plain-response.ts";
import type { Services } from "../services.ts";
import { openNextSession, type Session } from "../session.ts";
import { unwatchIdle, type Watched, watchIdle } from "../tunnel/idle-watch.ts";
import type { Begun, BegunAnswer, ExchangeEvent } from "./begun.ts";
import { formatPlainTail } from "./client-head.ts";
import { HEAD_LIMITS } from "./download.ts";
import type { Endable } from "./forwarding.ts";
import type { Origin } from "./origin-pool.ts";
import { isLike, type Memory, recall } from "./recall.ts";
import { copyOctets, scratch, viewBytes } from "./scratch.ts";

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

/** How long a head is that is copied and kept while its answer is awaited; longer ones take the whole story. */
const MAX_HEAD = 16 * 1024;

/** For an answer that is longer than the scratch space with what we add. */
const MAX_ANSWER = scratch.length - 1024;

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
  // Pipelined: it is here already.
  if (client.unreadBytes > 0) return REQUEST;
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
  /** Not yet looked for; undefined when there is none. */
  #memory: Memory | undefined | "unknown" = "unknown";
  readonly #waiting: Wait;
  readonly #waitingMs: number;
  /** There is one since the first request that was served here. */
  #asking: Wait | undefined;
  #originSide: OriginSide | undefined;
  /** Of the request that is under way. */
  #origin: Origin | undefined;
  #head: Uint8Array = NOTHING;
  #sent = 0;

  constructor(before: Session, client: Conn, services: Services, resolve: (next: Next) => void) {
    this.#session = before;
    this.#client = client;
    this.#services = services;
    this.#resolve = resolve;
    this.#waiting = new Wait(() => this.#leave(GONE));
    this.#waiting.lastActivity = performance.now();
    this.#waitingMs = before.runtime.forward.clientIdleMs;
    watchIdle(this.#waiting, this.#waitingMs);
    services.forwarding.waiting.add(this.#waiting);
  }

  // What the client does.

  data(chunk: Uint8Array): void {
    if (this.#origin === undefined && this.#ask(chunk)) return;
    if (this.#origin === undefined) this.#leave(REQUEST);
    // The next request already: it waits until this one is answered.
    else this.#handOver(this.#origin);
    this.#client.unread(chunk);
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
    if (this.#memory === "unknown") this.#memory = recall(this.#session, this.#client);
    const memory = this.#memory;
    if (memory === undefined || memory.runtime !== current || draining || chunk.length > MAX_HEAD) return false;
    const request = readPlainRequest(chunk, {
      maxBytes: current.limits.headBytes,
      maxFields: current.limits.headFields,
    });
    if (request === undefined || request.used !== chunk.length || !isLike(memory, request, chunk)) return false;
    if (memory.toVerify !== undefined && !isStill(memory, memory.toVerify, this.#session.certificateUser)) return false;
    const origin = forwarding.origins.take(memory.way.key, memory.way.fits);
    if (origin === undefined) return false;
    this.#session = openRepeat(this.#session, memory, origin.address);
    this.#origin = origin;
    this.#waiting.lastActivity = Number.POSITIVE_INFINITY;
    this.#watchAnswer(current.timeouts.responseMs).lastActivity = this.#session.stageSince;
    this.#send(origin, memory, request, chunk);
    return true;
  }

  /** There is nothing after the head: it is written, and the answer awaited. */
  #send(origin: Origin, memory: Memory, request: PlainRequest, chunk: Uint8Array): void {
    const length = fillOriginHead(memory, request, chunk);
    const taken = origin.conn.write(viewBytes(scratch, 0, length));
    this.#sent = Math.max(0, taken);
    this.#head = chunk.slice();
    if (taken >= 0 && taken < length) this.#handOver(origin, undefined, scratch.slice(taken, length));
    else origin.conn.attach((this.#originSide ??= new OriginSide(this)));
  }

  #watchAnswer(responseMs: number): Wait {
    if (this.#asking === undefined) {
      this.#asking = new Wait(
        () => this.tell("expired"),
        (failure) => this.tell(failure),
      );
      watchIdle(this.#asking, responseMs);
      this.#services.forwarding.exchanges.add(this.#asking);
    }
    return this.#asking;
  }

  // What the origin does.

  /** Passes on a plain response that is all there, with its body. */
  answer(chunk: Uint8Array): void {
    const origin = this.#origin as Origin;
    const plain =
      this.#services.draining || chunk.length > MAX_ANSWER ? undefined : readPlainResponse(chunk, HEAD_LIMITS);
    if (plain === undefined || plain.closes || plain.length < 0 || plain.used + plain.length !== chunk.length) {
      this.#handOver(origin);
      origin.conn.unread(chunk);
      return;
    }
    const memory = this.#memory as Memory;
    const length = fillAnswer(plain, chunk, memory.runtime.forward.via);
    const taken = this.#client.write(viewBytes(scratch, 0, length));
    if (taken >= 0 && taken < length) {
      const answer = { status: plain.status, sent: taken, unsent: scratch.slice(taken, length) };
      this.#handOver(origin, undefined, NOTHING, answer);
      return;
    }
    this.#finish(origin, memory, plain.status, Math.max(0, taken));
  }

  /** Something happened that takes more than what is done here. */
  tell(event: ExchangeEvent): void {
    if (this.#origin !== undefined) this.#handOver(this.#origin, event);
  }

  #finish(origin: Origin, memory: Memory, status: number, down: number): void {
    const { forwarding, recorder } = this.#services;
    const session = this.#session;
    session.status = status;
    session.forwarded = { up: this.#sent, down };
    this.#origin = undefined;
    this.#head = NOTHING;
    origin.conn.detach();
    forwarding.origins.put(origin, memory.keeping);
    recorder.finished(session);
    if (this.#asking !== undefined) this.#asking.lastActivity = Number.POSITIVE_INFINITY;
    this.#waiting.lastActivity = performance.now();
  }

  #handOver(origin: Origin, event?: ExchangeEvent, unsent = NOTHING, answer?: BegunAnswer): void {
    origin.conn.detach();
    const begun = { session: this.#session, head: this.#head, origin, sent: this.#sent, unsent, answer, event };
    this.#leave({ kind: "begun", begun });
  }

  #leave(next: Next): void {
    const { forwarding } = this.#services;
    unwatchIdle(this.#waiting, this.#waitingMs);
    forwarding.waiting.delete(this.#waiting);
    if (this.#asking !== undefined) {
      unwatchIdle(this.#asking, (this.#memory as Memory).runtime.timeouts.responseMs);
      forwarding.exchanges.delete(this.#asking);
    }
    this.#client.detach();
    this.#resolve(next);
  }
}

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

/** One of the two things that are waited for; since for ever when it is the turn of the other. */
class Wait implements Watched, Endable {
  lastActivity = Number.POSITIVE_INFINITY;
  readonly #expire: () => void;
  readonly abort: Endable["abort"];

  constructor(expire: () => void, abort: Endable["abort"] = expire) {
    this.#expire = expire;
    this.abort = abort;
  }

  expire(): void {
    if (this.lastActivity !== Number.POSITIVE_INFINITY) this.#expire();
  }
}

/** Whether the credentials still show the same user, as can be told at once. */
function isStill({ runtime, user }: Memory, credentials: string, certificateUser: string | undefined): boolean {
  const outcome = runtime.authenticator.authenticate([credentials]);
  return !(outcome instanceof Promise) && outcome.ok && (outcome.user ?? certificateUser) === user;
}

/** Opens the account of a request as it is when that is sent: the stages before took no time, since all was known. */
function openRepeat(before: Session, memory: Memory, dialled: string): Session {
  const session = openNextSession(before, memory.runtime);
  const { stageMs } = session;
  stageMs.accept = 0;
  stageMs.handshake = 0;
  stageMs.authenticate = 0;
  stageMs.request = 0;
  stageMs.decide = 0;
  stageMs.route = 0;
  session.stage = "forward";
  session.protocol = "http";
  session.method = "GET";
  session.scheme = "http";
  session.target = memory.target;
  session.user = memory.user;
  session.decision = memory.decision;
  session.route = memory.route;
  session.dialled = dialled;
  return session;
}

/** Writes the head for the origin, as `formatOriginHead` would, into the scratch space; gives its length. */
function fillOriginHead({ afterPath, afterFields }: Memory, request: PlainRequest, bytes: Uint8Array): number {
  const { authorityEnd, pathEnd, spans } = request;
  let at = copyOctets(bytes, 0, METHOD_LENGTH, scratch, 0);
  at = copyOctets(bytes, authorityEnd, pathEnd, scratch, at);
  at = copyOctets(afterPath, 0, afterPath.length, scratch, at);
  at = copySpans(bytes, spans, at);
  return copyOctets(afterFields, 0, afterFields.length, scratch, at);
}

/** `GET `. */
const METHOD_LENGTH = 4;

/** Writes the response for the client into the scratch space; gives its length. */
function fillAnswer(plain: PlainResponse, bytes: Uint8Array, via: string): number {
  let at = copySpans(bytes, plain.spans, 0);
  at += scratch.write(formatPlainTail(plain, { via, close: false }), at, "latin1");
  return copyOctets(bytes, plain.used, bytes.length, scratch, at);
}

function copySpans(bytes: Uint8Array, spans: readonly number[], at: number): number {
  let end = at;
  for (let index = 0; index < spans.length; index += 2) {
    end = copyOctets(bytes, spans[index] as number, spans[index + 1] as number, scratch, end);
  }
  return end;
}
