import type { Conn } from "../../net/conn/conn.ts";
import { readTlsAlert } from "../../net/runtime/secure-socket.ts";
import type { Failure } from "../failure.ts";
import type { ForwardRequest } from "../handshake/forward-request.ts";
import type { Session } from "../session.ts";
import { unwatchIdle, watchIdle } from "../tunnel/idle-watch.ts";
import type { Begun, ExchangeEvent } from "./begun.ts";
import { createBodyReader } from "./body-reader.ts";
import { Download, type DownloadOwner } from "./download.ts";
import type { DateClock } from "./date-clock.ts";
import type { Endable, RequestUnderWay } from "./forwarding.ts";
import type { HeadToWrite } from "./head-to-write.ts";
import { Outlet } from "./outlet.ts";
import type { Scratch } from "./scratch.ts";
import { Upload, type UploadOwner } from "./upload.ts";

/** How one exchange ended. Both connections are detached then. */
export type ExchangeEnd =
  /** Answered. Whoever is not kept is still to be closed. */
  | {
      readonly kind: "done";
      readonly keepsClient: boolean;
      readonly keepsOrigin: boolean;
      readonly bindsOrigin: boolean;
    }
  /** The 101 was passed on: what is unread on either side is of the new protocol. */
  | { readonly kind: "switched" }
  /** The origin closed before it said anything. `whole`: the request is unread again, and can be told to somebody else. */
  | { readonly kind: "stale"; readonly reset: boolean; readonly whole: boolean }
  /** The upstream wants to know who we are. `whole`: the request is unread again, and can be told once more. */
  | { readonly kind: "challenged"; readonly challenges: readonly string[]; readonly whole: boolean }
  /** Nothing of a response was sent: the client can be told. The origin's connection is closed. */
  | { readonly kind: "failed"; readonly failure: Failure }
  /** A part of a response was sent: nothing can follow it. The origin's connection is closed, the client's is still to be. */
  | { readonly kind: "broken"; readonly failure: Failure };

export interface ExchangeOptions {
  readonly session: Session;
  readonly request: ForwardRequest;
  /** The head that the origin gets. */
  readonly head: HeadToWrite;
  readonly via: string;
  readonly scratch: Scratch;
  readonly clock: DateClock;
  /** Whether an upstream is asked to forward, and not the origin itself. */
  readonly asksUpstream: boolean;
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
  /** Whether the proxy is shutting down, so that the client is told to go. */
  readonly isEnding: () => boolean;
  /** What of it was done already. */
  readonly begun?: Begun | undefined;
}

/** How long a client that sent FIN is waited for before it is asked whether it is there at all. */
const PROBE_MS = 1000;

/**
 * To a client that has sent FIN: who only stopped writing takes it for progress
 * (RFC 2518 §10.1), who is gone answers with RST. There is no other way to tell.
 */
const probe = Buffer.from("HTTP/1.1 102 Processing\r\n\r\n", "latin1");

/**
 * One request and its response, between two detached connections. Both ways at
 * once: an origin may answer before it has read the request, and stop reading.
 */
export class Exchange implements UploadOwner, DownloadOwner, Endable {
  readonly done: Promise<ExchangeEnd>;
  /** Monotonic milliseconds. */
  lastActivity = 0;
  readonly #client: Conn;
  readonly #origin: Conn;
  readonly #options: ExchangeOptions;
  readonly #up: Outlet;
  readonly #down: Outlet;
  readonly #upload: Upload;
  readonly #download: Download;
  #resolve!: (end: ExchangeEnd) => void;
  #over = false;
  #watchedMs = 0;
  /** Whether the final response is waited for: nothing that moves meanwhile counts. */
  #awaits = false;
  #probeTimer: Timer | undefined;
  /** The head said that the client's connection ends. */
  #closesClient = false;

  constructor(client: Conn, origin: Conn, options: ExchangeOptions) {
    const { request, head, idleMs, begun } = options;
    this.#client = client;
    this.#origin = origin;
    this.#options = options;
    this.done = new Promise((resolve) => {
      this.#resolve = resolve;
    });
    this.#up = new Outlet(client, origin, options.scratch);
    this.#down = new Outlet(origin, client, options.scratch);
    const unwritten = begun === undefined ? head : undefined;
    this.#upload = new Upload(this, client, this.#up, unwritten, createBodyReader(request.framing, "chunks", "strict"));
    if (options.keepsRequest) this.#upload.keep();
    this.#download = new Download(this, origin, this.#down, options);
    if (this.#upload.done && begun?.answer === undefined) this.#await();
    else this.#watch(idleMs);
    if (begun !== undefined) this.#takeOver(begun);
    this.#upload.begin();
    if (!this.#over) origin.attach(this.#download);
    if (begun !== undefined && !this.#over) this.#goOn(begun);
    if (options.isClientDone && !this.#over) this.#upload.end();
  }

  /** The status that the client was sent. */
  get status(): number | undefined {
    return this.#download.status;
  }

  /** Milliseconds that the final response was waited for, with those of other tries. */
  get waitedMs(): number {
    return this.#awaits ? performance.now() - this.lastActivity : this.#options.waitedMs;
  }

  /** Whether the client sent FIN. */
  get isClientDone(): boolean {
    return this.#upload.ended;
  }

  /** Bytes of the request that the origin took, and of the response that the client took, heads included. */
  bytes(): { up: number; down: number } {
    return { up: this.#up.bytes, down: this.#down.bytes };
  }

  look(): RequestUnderWay {
    return { session: this.#options.session, ...this.bytes() };
  }

  /** Ends it at once, on both sides. */
  abort(failure: Failure): void {
    this.#break(failure);
  }

  // What the upload tells.

  touch(): void {
    if (!this.#awaits) this.lastActivity = performance.now();
  }

  uploaded(): void {
    this.#awaitWhole();
    this.#settle();
  }

  failRequest(note: string): void {
    this.#fail({ detail: "malformed_request", note });
  }

  clientEnded(): void {
    if (this.#download.status !== undefined || this.#options.request.head.version === "1.0") return;
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
    const { request, isEnding } = this.#options;
    this.#closesClient = !request.keepsClient || isEnding() || (!this.#upload.done && !this.#download.keepsOrigin);
    return this.#closesClient;
  }

  answering(): void {
    this.#upload.forget();
    this.#awaits = false;
    this.#watch(this.#options.idleMs);
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
      this.#finish({ kind: "done", keepsClient, keepsOrigin: keepsOrigin && this.#up.empty, bindsOrigin });
    } else if (!keepsOrigin) {
      // Nobody reads the rest of the request any more.
      this.#finish({ kind: "done", ...NOTHING_KEPT });
    }
    // Else the origin has answered and reads on: the request is brought to its end.
  }

  expire(): void {
    if (this.#download.done && this.#down.empty) this.#finish({ kind: "done", ...NOTHING_KEPT });
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
    unwatchIdle(this, this.#watchedMs);
    clearTimeout(this.#probeTimer);
    this.#upload.release();
    this.#download.release();
    if (end.kind !== "done" && end.kind !== "switched") this.#origin.reset();
    this.#resolve(end);
  }

  /** Brings it to where it was. */
  #takeOver({ since, sent, unsent, answer }: Begun): void {
    this.lastActivity = since;
    this.#up.takeOver(sent, unsent);
    if (answer === undefined) return;
    this.#download.takeOver(answer);
    this.#down.takeOver(answer.sent, answer.unsent);
  }

  /** Makes up for what may have been told meanwhile: that there is room again, and the event. */
  #goOn({ answer, event }: Begun): void {
    this.#up.flush();
    if (!this.#down.empty) this.#origin.pause();
    if (answer !== undefined) this.flushDown();
    if (event !== undefined) this.#tell(event);
  }

  #tell(event: ExchangeEvent): void {
    switch (event) {
      case "client_ended":
        this.#upload.end();
        break;
      case "client_gone":
        this.#upload.close();
        break;
      case "origin_ended":
        this.#download.end();
        break;
      case "origin_closed":
      case "origin_reset":
        this.#download.close(event === "origin_reset");
        break;
      case "expired":
        this.expire();
        break;
      default:
        this.abort(event);
    }
  }

  /** The whole request was handed on: from now on the response is due. */
  #awaitWhole(): void {
    if (!this.#over && !this.#awaits && this.#upload.done && this.#up.empty && this.#download.status === undefined)
      this.#await();
  }

  #await(): void {
    const { responseMs, waitedMs } = this.#options;
    this.#watch(responseMs);
    this.lastActivity -= waitedMs;
    this.#awaits = true;
  }

  #watch(ms: number): void {
    unwatchIdle(this, this.#watchedMs);
    this.touch();
    this.#watchedMs = ms;
    watchIdle(this, ms);
  }
}

const NOTHING_KEPT = { keepsClient: false, keepsOrigin: false, bindsOrigin: false } as const;
