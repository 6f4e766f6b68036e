import type { ClientHello } from "../../protocol/tls/read/client-hello.ts";
import type { ClientProfiles } from "../../protocol/tls/read/client-profiles.ts";
import { computeJa3 } from "../../protocol/tls/read/ja3.ts";
import { recogniseFirstBytes } from "../../protocol/tls/read/recognise-first-bytes.ts";
import { resumesSession, type ServerHello } from "../../protocol/tls/read/server-hello.ts";
import type { TlsEvent } from "../../protocol/tls/read/tls-event.ts";
import { TlsWatcher, type TlsWatcherOptions } from "../../protocol/tls/read/tls-watcher.ts";
import { fail, type Failure } from "../failure.ts";
import type { RequestRecord } from "../record/request-record.ts";
import type { InsideDemand, InsideProtocol } from "../policy/inside-demand.ts";
import { noteMessage, packNotes } from "./handshake-notes.ts";
import { type InsideFacts, startTlsFacts, timeHandshake } from "./inside-facts.ts";
import { judgeHello, judgeProtocol, judgeUnreadable, judgeVersion } from "./judge-inside.ts";

/** The tunnel that is looked into: what it was asked for and what is demanded of it. */
export type InspectedTunnel = Readonly<Pick<RequestRecord, "runtime" | "decision" | "target">>;

/** Bytes of the longest ClientHello that is read, as in OpenSSL. */
const HELLO_LIMIT = 16 * 1024;
/** Bytes of the client that are looked at, and held where that is demanded: a hello in small records, or with early data. */
const UP_LIMIT = 32 * 1024;
/** Bytes of the target that are looked at: a long chain of certificates. */
const DOWN_LIMIT = 64 * 1024;
/**
 * Bytes of a record of TLS 1.3 with a Finished in the shortest encryption: type
 * and length 4, hash 32, content type 1, tag 8. Alerts are shorter, and so is
 * the EndOfEarlyData that comes first after early data (RFC 8446 §4.5).
 */
const SHORTEST_FINISHED = 45;
const TLS13 = 0x0304;
const CLIENT_WATCH: TlsWatcherOptions = { from: "client", maxMessageBytes: HELLO_LIMIT, skim: true };
const SERVER_WATCH: TlsWatcherOptions = { from: "server", skim: true };
const NO_EVENTS: readonly TlsEvent[] = [];

/**
 * Reads what goes on at the beginning of a tunnel: which protocol, and of TLS
 * the handshake as far as it is in clear; and judges it by a demand.
 *
 * With a demand on the hellos, what the client sends after its first one is
 * read until the server has answered it: a second ClientHello (RFC 8446 §4.1.2)
 * is judged before any of it is forwarded whole.
 */
export class InsideReader {
  /** Nothing more is looked at. */
  done = false;
  /** The client's first hello was judged, and meets the demand. */
  accepted = false;
  /** Bytes of the client so far. */
  upBytes = 0;
  readonly #facts: InsideFacts;
  readonly #tunnel: InspectedTunnel;
  readonly #profiles: ClientProfiles;
  /** What is judged; without it nothing is refused. */
  readonly #demand: InsideDemand | undefined;
  /** A copy of what the client said, while that is too little to recognise. */
  #beginning: Uint8Array | undefined;
  #client: TlsWatcher | undefined;
  #server: TlsWatcher | undefined;
  /** The session id of the last ClientHello. */
  #sessionId = "";
  #offersEarlyData = false;
  /** The version that the server chose. */
  #version: number | undefined;
  /** Whose Finished was seen, up to TLS 1.2. */
  #finishedBy: "client" | "server" | undefined;
  #downBytes = 0;
  /** The messages of the handshake so far; packed into the facts at the end. */
  readonly #notes: number[] = [];

  /** What the bytes tell goes to `facts`. */
  constructor(tunnel: InspectedTunnel, profiles: ClientProfiles, facts: InsideFacts) {
    this.#tunnel = tunnel;
    this.#profiles = profiles;
    this.#facts = facts;
    this.#demand = findDemand(tunnel);
  }

  /** Whether the client began like TLS, so that it understands alerts. */
  get isTls(): boolean {
    return this.#client !== undefined;
  }

  /** Takes bytes of the client. Keeps none of them but copies. */
  up(chunk: Uint8Array): Failure | undefined {
    this.upBytes += chunk.length;
    return this.#readClient(chunk) ?? this.#boundUp();
  }

  /** Takes bytes of the target; `holding` tells that bytes of the client are still held. */
  down(chunk: Uint8Array, holding: boolean): { readonly failure: Failure; readonly heard: boolean } | undefined {
    const before = this.#downBytes;
    this.#downBytes += chunk.length;
    if (this.#facts.tls !== undefined) {
      if (this.#version === undefined) this.#server ??= new TlsWatcher(SERVER_WATCH);
      for (const event of this.#server?.push(chunk) ?? NO_EVENTS) {
        const failure = this.#takeServerEvent(event);
        // An alert is heard only where a record may begin.
        if (failure !== undefined) return { failure, heard: event.at >= before };
        if (this.done) return undefined;
      }
    }
    if (this.#downBytes > DOWN_LIMIT && !holding && !this.#watchesHellos) this.finish();
    return undefined;
  }

  /** The client has said all that it will say, or all that is looked at, and it is no whole message. */
  settle(why: string): Failure | undefined {
    const demand = this.#demand;
    const failure = this.isTls && demand !== undefined ? this.#weigh(judgeUnreadable(demand, why)) : undefined;
    if (failure === undefined) return this.#conclude("unknown");
    this.#facts.protocol = "unknown";
    return failure;
  }

  /** Forgets all but the facts, which live as long as the tunnel. */
  finish(): void {
    this.done = true;
    this.#beginning = undefined;
    this.#client = undefined;
    this.#server = undefined;
    this.#sessionId = "";
    const { tls } = this.#facts;
    if (tls !== undefined && tls.messages === this.#notes) tls.messages = packNotes(this.#notes);
  }

  /** Whether something is demanded that the next message of the handshake could still breach. */
  get #watchesHellos(): boolean {
    const demand = this.#demand;
    if (demand === undefined || this.#version !== undefined || this.#facts.reported !== undefined) return false;
    return (
      demand.sni !== undefined ||
      demand.minVersion !== undefined ||
      demand.ja4 !== undefined ||
      demand.ech !== undefined
    );
  }

  #readClient(chunk: Uint8Array): Failure | undefined {
    if (this.#client !== undefined) return this.#follow(this.#client.push(chunk));
    const bytes = this.#beginning === undefined ? chunk : Buffer.concat([this.#beginning, chunk]);
    const protocol = recogniseFirstBytes(bytes);
    this.#beginning = protocol === "more" ? new Uint8Array(bytes) : undefined;
    if (protocol === "more") return undefined;
    if (protocol !== "tls") return this.#conclude(protocol);
    this.#facts.protocol = "tls";
    this.#client = new TlsWatcher(CLIENT_WATCH);
    return this.#follow(this.#client.push(bytes));
  }

  #follow(events: readonly TlsEvent[]): Failure | undefined {
    for (const event of events) {
      const failure = this.#takeClientEvent(event);
      if (failure !== undefined || this.done) return failure;
    }
    return undefined;
  }

  #takeClientEvent(event: TlsEvent): Failure | undefined {
    if (this.#facts.tls !== undefined) this.#note("client", event);
    switch (event.kind) {
      case "handshake":
        if (event.message.type === "client_hello") return this.#takeHello(event.message, event);
        return this.#mistrust("something else follows it");
      case "encrypted":
        if (event.content === "handshake") {
          this.#noteFinished("client");
          return this.#mistrust("something unreadable follows it");
        }
        return undefined;
      case "application_data":
        // Before the server's hello it is early data.
        if ((this.#version ?? 0) < TLS13) return undefined;
        if (event.length >= SHORTEST_FINISHED) this.#timeHandshake();
        else if (this.#offersEarlyData) return undefined;
        this.finish();
        return undefined;
      case "alert":
        return this.#takeAlert("client", event);
      case "gave_up":
        if (this.#facts.tls === undefined) return this.settle(event.reason);
        if (this.#watchesHellos) return this.#mistrust("something malformed follows it");
        this.finish();
        return undefined;
      default:
        return undefined;
    }
  }

  #takeHello(hello: ClientHello, event: TlsEvent): Failure | undefined {
    const profile = this.#profiles.find(hello);
    this.#sessionId = hello.sessionIdText;
    this.#offersEarlyData = profile.earlyData;
    const { target, runtime } = this.#tunnel;
    if (this.#facts.tls === undefined) {
      const ja3 = runtime.inspect.ja3 ? computeJa3(hello).hash : undefined;
      this.#facts.tls = startTlsFacts(hello.serverName, profile, ja3);
      this.#facts.tls.messages = this.#notes;
      noteMessage(this.#notes, "client", event, 0);
    }
    if (this.#demand === undefined || target === undefined) return undefined;
    const failure = this.#weigh(judgeHello(this.#demand, target, hello, profile.ja4));
    this.accepted = failure === undefined;
    return failure;
  }

  #takeServerEvent(event: TlsEvent): Failure | undefined {
    const { tls } = this.#facts;
    this.#note("server", event);
    switch (event.kind) {
      case "handshake":
        if (event.message.type === "server_hello") return this.#takeServerHello(event.message);
        if (event.message.type === "certificate" && tls !== undefined)
          tls.certificateExpiry = event.message.readExpiry();
        return undefined;
      case "encrypted":
        if (event.content === "handshake") this.#noteFinished("server");
        return undefined;
      case "alert":
        return this.#takeAlert("server", event);
      case "gave_up":
        if (this.#demand?.minVersion !== undefined && this.#version === undefined)
          return this.#weigh(fail("tls_too_old", { note: "the answer of the server cannot be read" }).failure);
        if (!this.#watchesHellos) this.finish();
        return undefined;
      default:
        return undefined;
    }
  }

  #takeServerHello(server: ServerHello): Failure | undefined {
    const { tls } = this.#facts;
    if (server.helloRetryRequest || tls === undefined) return undefined;
    const { version } = server;
    this.#version = version;
    tls.version = version;
    tls.cipherSuite = server.cipherSuite;
    tls.resumed = resumesSession(server, this.#sessionId);
    if (version >= TLS13) this.#server = undefined;
    else tls.alpnChosen = server.alpn;
    return this.#demand && this.#weigh(judgeVersion(this.#demand, version));
  }

  #takeAlert(from: "client" | "server", alert: Extract<TlsEvent, { kind: "alert" }>): undefined {
    const { tls } = this.#facts;
    if (alert.level !== 2) return;
    if (tls !== undefined) tls.alert = { from, description: alert.description };
    if (from === "server" || !this.#watchesHellos) this.finish();
  }

  /** What the client sends after a hello that was judged, and before the server's: nothing that might be another hello may pass unread. */
  #mistrust(what: string): Failure | undefined {
    const demand = this.#demand;
    if (demand === undefined || !this.#watchesHellos) return undefined;
    const failure = this.#weigh(judgeUnreadable(demand, what));
    if (this.#facts.reported !== undefined) this.finish();
    return failure;
  }

  /** Notes a breach, and takes it as none, when the rule only reports it. The first one is what would have refused. */
  #weigh(breach: Failure | undefined): Failure | undefined {
    if (breach === undefined || !this.#demand?.reports) return breach;
    this.#facts.reported ??= breach;
    return undefined;
  }

  #noteFinished(by: "client" | "server"): void {
    if (this.#version === undefined || this.#finishedBy === by) return;
    if (this.#finishedBy === undefined) {
      this.#finishedBy = by;
      return;
    }
    this.#timeHandshake();
    this.finish();
  }

  #note(from: "client" | "server", event: TlsEvent): void {
    const { tls } = this.#facts;
    if (tls !== undefined) noteMessage(this.#notes, from, event, performance.now() - tls.helloAt);
  }

  #timeHandshake(): void {
    const { tls } = this.#facts;
    if (tls !== undefined) timeHandshake(tls);
  }

  /** Nothing more is to be found out: it is not TLS. */
  #conclude(protocol: InsideProtocol): Failure | undefined {
    if (this.upBytes > 0) this.#facts.protocol = protocol;
    const failure = this.#demand && this.#weigh(judgeProtocol(this.#demand, protocol));
    if (failure === undefined) this.finish();
    return failure;
  }

  #boundUp(): Failure | undefined {
    if (this.done || this.upBytes <= UP_LIMIT) return undefined;
    if (this.#facts.tls === undefined) return this.settle("too_long");
    if (this.#watchesHellos) return this.#mistrust("too much follows it");
    this.finish();
    return undefined;
  }
}

/** What the rule that allowed a tunnel demands of its first bytes. */
export function findDemand({ decision }: InspectedTunnel): InsideDemand | undefined {
  return decision?.verdict === "allow" ? decision.inside : undefined;
}
