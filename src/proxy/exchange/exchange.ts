import type { Conn } from "../../net/conn/conn.ts";
import { readTlsAlert } from "../../net/runtime/secure-socket.ts";
import type { Failure } from "../failure.ts";
import type { ForwardRequest } from "../read/forward-request.ts";
import type { RequestRecord } from "../record/request-record.ts";
import { ACTIVE } from "../../net/conn/idle-watch.ts";
import type { ResponseHead } from "../../protocol/http1/response-head.ts";
import { createBodyReader } from "../../protocol/http1/body-reader.ts";
import { Download, type DownloadOptions, type DownloadOwner } from "./download.ts";
import { Deadline } from "./deadline.ts";
import { type ExchangeEnd, NOTHING_KEPT } from "./exchange-end.ts";
import { MessageFlow } from "./flow.ts";
import type { Endable, Forwarding, RequestUnderWay } from "./forwarding.ts";
import type { HeadToWrite } from "./head-to-write.ts";
import { hasOddContent } from "./repeats.ts";
import { Upload, type UploadOwner } from "./upload.ts";
import type { BandwidthHold, Bandwidths } from "../limit/bandwidths.ts";

export interface ExchangeOptions extends DownloadOptions {
  readonly record: RequestRecord;
  readonly request: Pick<ForwardRequest, "head" | "framing" | "upgrade" | "keepsClient" | "withheld">;
  /** The head that the origin gets. */
  readonly outgoing: HeadToWrite;
  /** Whether the request is kept, as far as it is short, for a second try. */
  readonly keepsRequest: boolean;
  /**
   * Milliseconds for the final response to begin once the request is complete,
   * whatever interim responses come; and for anything to move before and after
   * that; 0 for ever.
   */
  readonly responseMs: number;
  readonly idleMs: number;
  /** Milliseconds of the former that other tries have used up. */
  readonly waitedMs: number;
  /** The client sent FIN during another try. */
  readonly isClientDone: boolean;
  /** Is told of the head of the final response. */
  readonly answered?: ((head: ResponseHead) => void) | undefined;
  /** Is told again and again, from `LEAST_SILENCE_MS` on, for how long nothing at all was answered. */
  readonly silent?: ((ms: number) => void) | undefined;
}

/** Milliseconds of silence before anybody is told of it. */
const LEAST_SILENCE_MS = 250;

/** Whoever has a request carried out. */
export interface ExchangeOwner {
  ended(end: ExchangeEnd): void;
}

/** What the exchanges of a daemon share. */
export interface ExchangeServices {
  readonly forwarding: Pick<Forwarding, "scratch" | "lines" | "exchanges" | "traffic">;
  readonly bandwidths: Pick<Bandwidths, "enter" | "follow">;
  /** Whether the proxy is shutting down, so that the client is told to go. */
  readonly draining: boolean;
}

/** How long a client that sent FIN is waited for before it is asked whether it is there at all. */
const PROBE_MS = 1000;

/**
 * To a client that has sent FIN: who only stopped writing takes it for progress
 * (RFC 2518 §10.1), who is gone answers with RST. There is no other way to tell.
 */
const probe = Buffer.from("HTTP/1.1 102 Processing\r\n\r\n", "latin1");

/**
 * A request and its response between two detached connections, and then another
 * one of the same client. Both directions at once: an origin may answer before it
 * has read the request, and stop reading.
 */
export class Exchange implements UploadOwner, DownloadOwner, Endable {
  readonly #client: Conn;
  readonly #services: ExchangeServices;
  readonly #up: MessageFlow;
  readonly #down: MessageFlow;
  readonly #upload: Upload;
  readonly #download: Download;
  /** For anything to move, and for the final response to begin. */
  readonly #movement: Deadline;
  readonly #response: Deadline;
  /** For the first byte of a response, where somebody wants to know. */
  #silence: Deadline | undefined;
  #origin!: Conn;
  /** Of the request that is under way: a client between two requests keeps nothing of the last one in memory. */
  #options: ExchangeOptions | undefined;
  /** Undefined when nothing limits its bandwidth. */
  #hold: BandwidthHold | undefined;
  #owner!: ExchangeOwner;
  #over = true;
  /** Whether the final response is waited for: nothing that moves meanwhile counts. */
  #awaits = false;
  /** In monotonic milliseconds; earlier by what other tries have used up. */
  #awaitedSince = 0;
  #waitedMs = 0;
  #probeTimer: Timer | undefined;
  /** The head said that the client's connection ends. */
  #closesClient = false;
  /**
   * Whether the origin surely takes no part of the request for another one, whose answer the next client would get:
   * it may where it has answered before it had the whole request, or does not expect content.
   */
  #sharesOrigin = false;

  constructor(client: Conn, services: ExchangeServices) {
    const { scratch, lines, traffic } = services.forwarding;
    this.#client = client;
    this.#services = services;
    this.#movement = new Deadline(client.timers.idle, () => this.#expire());
    this.#response = new Deadline(client.timers.idle, () => this.#expire());
    this.#up = new MessageFlow(scratch, () => this.flushUp(), traffic.up);
    this.#down = new MessageFlow(scratch, () => this.flushDown(), traffic.down);
    this.#upload = new Upload(this, client, this.#up);
    this.#download = new Download(this, this.#down, lines);
    services.forwarding.exchanges.add(this);
  }

  /** Begins a request. `owner` is told how it ended, which may be before this returns. */
  begin(origin: Conn, options: ExchangeOptions, owner: ExchangeOwner): void {
    const { request, outgoing, isClientDone, keepsRequest, record } = options;
    this.#origin = origin;
    this.#options = options;
    this.#waitedMs = options.waitedMs;
    this.#owner = owner;
    this.#over = false;
    this.#awaits = false;
    this.#closesClient = false;
    const hold = this.#services.bandwidths.enter(record);
    this.#hold = hold;
    this.#up.begin(this.#client, origin, hold?.up);
    this.#down.begin(origin, this.#client, hold?.down);
    this.#upload.prepare(outgoing, createBodyReader(request.framing, "chunks", "strict", request.withheld));
    if (keepsRequest) this.#upload.keep();
    this.#download.prepare(origin, options);
    if (this.#upload.done) this.#await(record.stageSince);
    else this.#move();
    this.#upload.begin();
    if (!this.#over) origin.attach(this.#download);
    if (isClientDone && !this.#over) this.#upload.end();
  }

  /** Whether the whole request was sent, and nothing came back. */
  get isSilent(): boolean {
    return !this.#over && this.#awaits && this.#download.silent && this.#down.empty && this.#up.empty;
  }

  /** Goes on with another connection, over which `sent` bytes of the same request went already. Only while it is silent. */
  moveTo(origin: Conn, sent: number, options: ExchangeOptions): void {
    this.#download.release();
    this.#origin.reset();
    this.#origin = origin;
    this.#options = options;
    this.#up.restart(this.#client, origin, sent);
    this.#down.restart(origin, this.#client, 0);
    this.#download.prepare(origin, options);
    this.#silence?.disarm();
    origin.attach(this.#download);
  }

  /** Carries out a request. */
  carry(origin: Conn, options: ExchangeOptions): Promise<ExchangeEnd> {
    return new Promise((resolve) => this.begin(origin, options, { ended: resolve }));
  }

  /** The client's connection carries no more requests. */
  release(): void {
    this.#movement.leave();
    this.#response.leave();
    this.#silence?.leave();
    this.#services.forwarding.exchanges.delete(this);
  }

  /** The status that the client was sent. */
  get status(): number | undefined {
    return this.#download.status;
  }

  /** Milliseconds that the final response of a request that failed was waited for, with those of other tries. */
  get waitedMs(): number {
    return this.#waitedMs;
  }

  /** Whether the client sent FIN. */
  get isClientDone(): boolean {
    return this.#upload.ended;
  }

  /** Bytes of the request that the origin took, and of the response that the client took, heads included. */
  bytes(): { up: number; down: number } {
    return { up: this.#up.bytes, down: this.#down.bytes };
  }

  look(): RequestUnderWay | undefined {
    if (this.#options === undefined) return undefined;
    return {
      record: this.#options.record,
      ...this.bytes(),
      waitsFor: this.#hold?.up.waitsFor ?? this.#hold?.down.waitsFor,
    };
  }

  followLimits(): void {
    const hold = this.#options && this.#services.bandwidths.follow(this.#options.record, this.#hold);
    if (hold === undefined) return;
    this.#hold?.release();
    this.#hold = hold;
    this.#up.limit(hold.up);
    this.#down.limit(hold.down);
  }

  /** Ends it at once, on both sides. */
  abort(failure: Failure): void {
    this.#break(failure);
  }

  // What the upload tells.

  touch(): void {
    if (!this.#awaits && !this.#over) this.#movement.lastActivity = ACTIVE;
  }

  uploaded(): void {
    this.#awaitWhole();
    this.#settle();
  }

  failRequest(note: string): void {
    this.#fail({ detail: "malformed_request", note });
  }

  clientEnded(): void {
    if (this.#download.status !== undefined || this.#current.request.head.version === "1.0") return;
    this.#probeTimer = setTimeout(() => {
      if (this.#download.status === undefined) this.#down.write(probe);
    }, PROBE_MS);
  }

  clientGone(): void {
    // After the whole response nobody has to be there any more.
    if (this.#download.done && this.#down.empty) this.#finish({ kind: "done", ...NOTHING_KEPT });
    else this.#break({ detail: "client_gone" });
  }

  flushDown(): void {
    this.#down.flush();
    if (!this.#down.empty) return;
    this.#download.flushed();
    this.touch();
    this.#settle();
  }

  // What the download tells.

  closesClient(): boolean {
    const { request } = this.#current;
    this.#sharesOrigin = this.#upload.done && this.#up.empty && !hasOddContent(request);
    this.#closesClient =
      !request.keepsClient || this.#services.draining || (!this.#upload.done && !this.#download.keepsOrigin);
    return this.#closesClient;
  }

  answering(): void {
    this.#upload.forget();
    this.#awaits = false;
    this.#move();
  }

  downloaded(): void {
    this.#settle();
    if (!this.#over && this.#awaits) this.answering();
  }

  originSilent(reset: boolean): void {
    const alert = readTlsAlert(this.#origin);
    if (alert !== undefined) this.#fail({ detail: "tls_alert", note: alert });
    // Nothing may follow half an interim response, a second try neither.
    else if (this.#down.empty) this.#finish({ kind: "stale", reset, whole: this.#upload.putBack() });
    else this.#fail({ detail: "connection_reset", note: `${reset ? "reset" : "closed"} before its answer` });
  }

  originEnded(): void {
    this.#settle();
  }

  challenged(challenges: readonly string[]): void {
    if (this.#over) return;
    // Interim responses that the client was sent are no answer: another one may follow. Half of one is a mess.
    if (this.#down.empty) this.#finish({ kind: "challenged", challenges, whole: this.#upload.putBack() });
    else this.#fail({ detail: "upstream_credentials", receivedStatus: 407 });
  }

  failResponse(failure: Failure): void {
    this.#fail(failure);
  }

  flushUp(): void {
    this.#up.flush();
    this.touch();
    this.#awaitWhole();
  }

  get #current(): ExchangeOptions {
    if (this.#options === undefined) throw new Error("No request is under way");
    return this.#options;
  }

  /** Ends the exchange once there is nothing left to do. */
  #settle(): void {
    if (this.#over || !this.#download.done || !this.#down.empty) return;
    if (this.#download.switched) {
      this.#finish({ kind: "switched" });
      return;
    }
    const { keepsOrigin, bindsOrigin, endsByClose } = this.#download;
    if (this.#upload.done) {
      const keepsClient = !this.#closesClient && !endsByClose && !this.#upload.ended;
      const kept = { keepsOrigin: keepsOrigin && this.#up.empty, sharesOrigin: this.#sharesOrigin, bindsOrigin };
      this.#finish({ kind: "done", keepsClient, ...kept });
    } else if (!keepsOrigin) {
      // Nobody reads the rest of the request any more.
      this.#finish({ kind: "done", ...NOTHING_KEPT });
    }
    // Else the origin has answered and reads on: the request is brought to its end.
  }

  #expire(): void {
    // What waits for its budget has something to move.
    if (this.#up.isParked || this.#down.isParked) this.touch();
    else if (this.#download.done && this.#down.empty) this.#finish({ kind: "done", ...NOTHING_KEPT });
    else if (this.#download.status !== undefined)
      this.#fail({ detail: "response_incomplete", note: "nothing moved for too long" });
    else if (!this.#upload.done && this.#up.empty)
      this.#fail({ detail: "handshake_timeout", note: "the body stopped" });
    else this.#fail({ detail: "response_timeout" });
  }

  /** Tells the client, when it has not been told anything yet. */
  #fail(failure: Failure): void {
    if (this.#download.status !== undefined || !this.#down.empty) {
      this.#break(failure);
      return;
    }
    this.#finish({ kind: "failed", failure });
  }

  #break(failure: Failure): void {
    if (this.#over) return;
    this.#finish({ kind: "broken", failure });
    // A body that ends with the connection looks whole after FIN; the others tell by their framing.
    if (this.#download.endsByClose || failure.detail === "client_gone") this.#client.reset();
  }

  #finish(end: ExchangeEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#options = undefined;
    if (end.kind !== "done" && this.#awaits) this.#waitedMs = performance.now() - this.#awaitedSince;
    this.#movement.disarm();
    this.#response.disarm();
    this.#silence?.disarm();
    if (this.#probeTimer !== undefined) clearTimeout(this.#probeTimer);
    this.#probeTimer = undefined;
    if (this.#hold !== undefined) this.#leaveBudgets(this.#hold);
    this.#upload.release();
    this.#download.release();
    if (end.kind !== "done" && end.kind !== "switched") this.#origin.reset();
    this.#owner.ended(end);
  }

  #leaveBudgets(hold: BandwidthHold): void {
    this.#up.release();
    this.#down.release();
    hold.release();
    this.#hold = undefined;
  }

  /** The whole request was handed on: from now on the response is due. */
  #awaitWhole(): void {
    if (!this.#over && !this.#awaits && this.#upload.done && this.#up.empty && this.#download.status === undefined)
      this.#await(performance.now());
  }

  /** From now on the response is due. */
  #await(now: number): void {
    const { responseMs } = this.#current;
    this.#movement.disarm();
    this.#awaitedSince = now - this.#waitedMs;
    this.#response.arm(responseMs, this.#awaitedSince);
    this.#awaits = true;
    if (this.#current.silent === undefined) return;
    this.#silence ??= new Deadline(this.#client.timers.idle, () => this.#tellSilence());
    this.#silence.arm(LEAST_SILENCE_MS, now);
  }

  #tellSilence(): void {
    const silence = this.#silence as Deadline;
    if (this.#download.silent && !this.#over) this.#options?.silent?.(performance.now() - silence.lastActivity);
    else silence.disarm();
  }

  /** From now on anything has to move. */
  #move(): void {
    this.#response.disarm();
    this.#movement.arm(this.#current.idleMs, ACTIVE);
  }
}
