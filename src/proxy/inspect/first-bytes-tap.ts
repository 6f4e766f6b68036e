import type { Endpoint } from "../../address/endpoint.ts";
import { readCertificateExpiry } from "../../protocol/tls/read/certificate-expiry.ts";
import type { ClientHello } from "../../protocol/tls/read/client-hello.ts";
import { computeJa3 } from "../../protocol/tls/read/ja3.ts";
import { computeJa4 } from "../../protocol/tls/read/ja4.ts";
import { recogniseFirstBytes } from "../../protocol/tls/read/recognise-first-bytes.ts";
import type { ServerHello } from "../../protocol/tls/read/server-hello.ts";
import { summariseHandshake } from "../../protocol/tls/read/summarise-handshake.ts";
import { createTlsWatcher, type TlsEvent, type TlsWatcher } from "../../protocol/tls/read/tls-watcher.ts";
import { fail, type Failure } from "../failure.ts";
import type { TapPort, TunnelTap } from "../tunnel/tunnel-tap.ts";
import { SHORTEST_FINISHED } from "./handshake-side.ts";
import type { InsideDemand, InsideProtocol } from "./inside-demand.ts";
import { type InsideFacts, startTlsFacts, timeHandshake } from "./inside-facts.ts";
import { judgeHello, judgeProtocol, judgeUnreadable, judgeVersion, writeRefusalAlert } from "./judge-inside.ts";

export interface FirstBytesTapOptions {
  /** Written to as the bytes tell. */
  readonly facts: InsideFacts;
  /** What the client asked for. */
  readonly target: Endpoint;
  /** What has to be met before a byte of the client goes on; without it nothing is held and nothing refused. */
  readonly demand?: InsideDemand | undefined;
  /** Milliseconds that a client has to say what is judged. */
  readonly deadlineMs: number;
  /** Compute JA3 fingerprints too. */
  readonly ja3: boolean;
  /** Told once why the tunnel was refused, before it ends. */
  onDenied(failure: Failure): void;
}

/** Bytes of the longest ClientHello that is read, as in OpenSSL. */
const HELLO_LIMIT = 16 * 1024;
/** Bytes of the client that are looked at, and held where that is demanded: a hello in small records, or with early data. */
const UP_LIMIT = 32 * 1024;
/** Bytes of the target that are looked at: a long chain of certificates. */
const DOWN_LIMIT = 64 * 1024;
const TLS13 = 0x0304;
const NO_BYTES = new Uint8Array(0);
const NO_EVENTS: readonly TlsEvent[] = [];

/**
 * Reads what goes on at the beginning of a tunnel: which protocol, and of TLS
 * the handshake as far as it is in clear. Nothing is changed and, unless a rule
 * demands something, nothing held.
 *
 * With a demand, the client's bytes are held until they are judged, and those
 * after its hello are shown here until the server has answered it: a second
 * ClientHello (RFC 8446 §4.1.2) is judged like the first, and never complete at
 * the target before.
 */
export class FirstBytesTap implements TunnelTap {
  done = false;
  readonly #options: FirstBytesTapOptions;
  /** Whether something in the hellos is judged. */
  readonly #strict: boolean;
  #port: TapPort | undefined;
  #timer: Timer | undefined;
  #holding: boolean;
  #held: Uint8Array[] | undefined;
  /** What the client said, while that is too little to recognise. */
  #beginning: Uint8Array | undefined;
  #client: TlsWatcher | undefined;
  #server: TlsWatcher | undefined;
  /** The last one that the watcher read. */
  #hello: ClientHello | undefined;
  /** The version that the server chose. */
  #version: number | undefined;
  /** Whose Finished was seen, up to TLS 1.2. */
  #finishedBy: "client" | "server" | undefined;
  #upBytes = 0;
  #downBytes = 0;

  constructor(options: FirstBytesTapOptions) {
    const { demand } = options;
    this.#options = options;
    this.#strict = demand?.sni !== undefined || demand?.minVersion !== undefined || demand?.ja4 !== undefined;
    this.#holding = options.demand !== undefined;
  }

  begin(port: TapPort): void {
    this.#port = port;
    if (this.#holding) this.#startTimer();
  }

  #startTimer(): void {
    this.#timer = setTimeout(() => this.#expire(), this.#options.deadlineMs);
  }

  up(chunk: Uint8Array): Uint8Array | undefined {
    if (this.done) return chunk;
    const wasHolding = this.#holding;
    this.#upBytes += chunk.length;
    const failure = this.#readClient(chunk) ?? this.#boundUp();
    if (failure !== undefined) return this.#deny(failure);
    if (!wasHolding) return chunk;
    if (!this.#holding) return this.#takeHeld(chunk);
    (this.#held ??= []).push(new Uint8Array(chunk));
    return undefined;
  }

  upEnd(): Uint8Array | undefined {
    if (this.done || !this.#holding) return undefined;
    const failure = this.#settleAsItIs("it ends in the middle");
    return failure === undefined ? this.#takeHeld(NO_BYTES) : this.#deny(failure);
  }

  down(chunk: Uint8Array): Uint8Array | undefined {
    if (this.done) return chunk;
    const before = this.#downBytes;
    this.#downBytes += chunk.length;
    if (this.#options.facts.tls === undefined) return this.#boundDown(chunk);
    if (this.#version === undefined) this.#server ??= createTlsWatcher({ from: "server" });
    for (const event of this.#server?.push(chunk) ?? NO_EVENTS) {
      const failure = this.#takeServerEvent(event);
      // An alert is heard only where a record may begin.
      if (failure !== undefined) return this.#deny(failure, event.at >= before);
      if (this.done) return chunk;
    }
    return this.#boundDown(chunk);
  }

  close(): void {
    this.#finish();
    this.#held = undefined;
  }

  /** Whether something is demanded that the next message of the handshake could still breach. */
  get #watchesHellos(): boolean {
    return this.#strict && this.#version === undefined;
  }

  #readClient(chunk: Uint8Array): Failure | undefined {
    if (this.#client !== undefined) return this.#follow(this.#client.push(chunk));
    const bytes = this.#beginning === undefined ? chunk : Buffer.concat([this.#beginning, chunk]);
    const protocol = recogniseFirstBytes(bytes);
    // A copy: the few bytes may lie in a buffer of many.
    this.#beginning = protocol === "more" ? new Uint8Array(bytes) : undefined;
    if (protocol === "more") return undefined;
    if (protocol !== "tls") return this.#settle(protocol);
    this.#options.facts.protocol = "tls";
    this.#client = createTlsWatcher({ from: "client", maxMessageBytes: HELLO_LIMIT });
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
    switch (event.kind) {
      case "handshake":
        if (event.message.type === "client_hello") return this.#takeHello(event.message);
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
        else if (this.#hello?.earlyData === true) return undefined;
        this.#finish();
        return undefined;
      case "alert":
        return this.#takeAlert("client", event);
      case "gave_up":
        if (this.#options.facts.tls === undefined) return this.#settleAsItIs(event.reason);
        if (this.#watchesHellos) return this.#mistrust("something malformed follows it");
        this.#finish();
        return undefined;
      default:
        return undefined;
    }
  }

  #takeHello(hello: ClientHello): Failure | undefined {
    const { facts, demand, target, ja3 } = this.#options;
    this.#hello = hello;
    const { serverName: sni, alpn } = hello;
    facts.tls ??= startTlsFacts({ sni, alpn, ja4: computeJa4(hello), ja3: ja3 ? computeJa3(hello).hash : undefined });
    if (demand === undefined) return undefined;
    const failure = judgeHello(demand, target, hello);
    if (failure === undefined) this.#letGo();
    return failure;
  }

  #takeServerEvent(event: TlsEvent): Failure | undefined {
    const { demand, facts } = this.#options;
    switch (event.kind) {
      case "handshake":
        if (event.message.type === "server_hello") return this.#takeServerHello(event.message);
        if (event.message.type === "certificate" && facts.tls !== undefined) {
          const [own] = event.message.chain;
          facts.tls.certificateExpiry = own && readCertificateExpiry(own);
        }
        return undefined;
      case "encrypted":
        if (event.content === "handshake") this.#noteFinished("server");
        return undefined;
      case "alert":
        return this.#takeAlert("server", event);
      case "gave_up":
        if (demand?.minVersion !== undefined && this.#version === undefined)
          return fail("tls_too_old", { note: "the answer of the server cannot be read" }).failure;
        if (!this.#watchesHellos) this.#finish();
        return undefined;
      default:
        return undefined;
    }
  }

  #takeServerHello(server: ServerHello): Failure | undefined {
    const { demand, facts } = this.#options;
    if (server.helloRetryRequest || this.#hello === undefined || facts.tls === undefined) return undefined;
    const { version, cipherSuite, alpn, resumed } = summariseHandshake(this.#hello, server);
    Object.assign(facts.tls, { version, cipherSuite, alpnChosen: alpn, resumed });
    this.#version = version;
    if (version >= TLS13) this.#server = undefined;
    return demand && judgeVersion(demand, version);
  }

  #takeAlert(from: "client" | "server", alert: Extract<TlsEvent, { kind: "alert" }>): undefined {
    const { tls } = this.#options.facts;
    if (alert.level !== 2) return;
    if (tls !== undefined) tls.alert = { from, description: alert.description };
    if (from === "server" || !this.#watchesHellos) this.#finish();
  }

  /** What the client sends after a hello that was judged, and before the server's: nothing that might be another hello may pass unread. */
  #mistrust(what: string): Failure | undefined {
    const { demand } = this.#options;
    return demand !== undefined && this.#watchesHellos ? judgeUnreadable(demand, what) : undefined;
  }

  #noteFinished(by: "client" | "server"): void {
    if (this.#version === undefined || this.#finishedBy === by) return;
    if (this.#finishedBy === undefined) {
      this.#finishedBy = by;
      return;
    }
    this.#timeHandshake();
    this.#finish();
  }

  #timeHandshake(): void {
    const { tls } = this.#options.facts;
    if (tls !== undefined) timeHandshake(tls);
  }

  /** Nothing more is to be found out: it is not TLS. */
  #settle(protocol: InsideProtocol): Failure | undefined {
    const { facts, demand } = this.#options;
    if (this.#upBytes > 0) facts.protocol = protocol;
    const failure = demand && judgeProtocol(demand, protocol);
    if (failure === undefined) this.#finish();
    return failure;
  }

  /** The client has said all that it will say, or all that is looked at, and it is no whole message. */
  #settleAsItIs(why: string): Failure | undefined {
    const { facts, demand } = this.#options;
    const failure = this.#client !== undefined && demand !== undefined ? judgeUnreadable(demand, why) : undefined;
    if (failure === undefined) return this.#settle("unknown");
    facts.protocol = "unknown";
    return failure;
  }

  #boundDown(chunk: Uint8Array): Uint8Array {
    if (this.#downBytes > DOWN_LIMIT && !this.#holding && !this.#watchesHellos) this.#finish();
    return chunk;
  }

  #boundUp(): Failure | undefined {
    if (this.done || this.#upBytes <= UP_LIMIT) return undefined;
    if (this.#options.facts.tls === undefined) return this.#settleAsItIs("too_long");
    if (this.#watchesHellos) return this.#mistrust("too much follows it");
    this.#finish();
    return undefined;
  }

  /** The time to speak is over. Silence passes where everything does. */
  #expire(): void {
    const { demand, deadlineMs } = this.#options;
    if (demand !== undefined && this.#settleAsItIs("it is not complete in time") !== undefined) {
      this.#deny(fail("first_bytes_timeout", { note: `${this.#upBytes} bytes came in ${deadlineMs} ms` }).failure);
    } else if (this.#held !== undefined) {
      this.#port?.pass(this.#takeHeld(NO_BYTES));
    }
  }

  #deny(failure: Failure, heard = true): undefined {
    const lastWords = this.#client !== undefined && heard ? writeRefusalAlert(failure) : NO_BYTES;
    this.#options.onDenied(failure);
    this.close();
    this.#port?.refuse(lastWords);
  }

  /** What was held, with `last` behind it. */
  #takeHeld(last: Uint8Array): Uint8Array {
    const held = this.#held;
    this.#held = undefined;
    return held === undefined ? last : Buffer.concat([...held, last]);
  }

  /** What was held may go on; more may still be looked at. */
  #letGo(): void {
    this.#holding = false;
    clearTimeout(this.#timer);
  }

  /** Forgets all but the facts, which live as long as the tunnel. */
  #finish(): void {
    this.#letGo();
    this.done = true;
    this.#beginning = undefined;
    this.#client = undefined;
    this.#server = undefined;
    this.#hello = undefined;
  }
}
