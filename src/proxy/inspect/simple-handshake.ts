import { outlineClientHello, outlineServerHello } from "../../protocol/tls/hello-outline.ts";
import { type InsideFacts, startTlsFacts, timeHandshake, type TlsFacts } from "./inside-facts.ts";
import { type RecordListener, RecordWalk } from "./record-walk.ts";

/**
 * Bytes of a record of TLS 1.3 with a Finished in the shortest encryption: type
 * and length 4, hash 32, content type 1, tag 8. Alerts are shorter, and so is
 * the EndOfEarlyData that comes first after early data (RFC 8446 §4.5).
 */
export const SHORTEST_FINISHED = 45;

const TLS13 = 0x0304;
/** Types of records, RFC 8446 §5.1. */
const CHANGE_CIPHER_SPEC = 20;
const ALERT = 21;
const HANDSHAKE = 22;
const APPLICATION_DATA = 23;

/** What came of a chunk: it goes on, all is known, or watchers have to take over with it. */
export type SimpleStep = "more" | "done" | "complex";

/**
 * The handshake of nearly every connection: nobody waits for a verdict, and
 * each hello is whole in the chunk that it came in. It is read without watchers,
 * at a fraction of the cost: after the hellos, headers of records tell enough.
 */
export class SimpleHandshake {
  /** The client's first chunk, in case that a watcher has to read it after all. */
  readonly hello: Uint8Array;
  readonly #tls: TlsFacts;
  readonly #earlyData: boolean;
  #client: Side | undefined;
  #server: Side | undefined;

  private constructor(hello: Uint8Array, tls: TlsFacts, earlyData: boolean) {
    this.hello = hello;
    this.#tls = tls;
    this.#earlyData = earlyData;
  }

  /** Begins with all that a client has said. Undefined when that is not a simple hello. */
  static begin(bytes: Uint8Array, facts: InsideFacts): SimpleHandshake | undefined {
    const outline = outlineClientHello(bytes);
    if (outline === undefined) return undefined;
    const { ja4, alpn, earlyData } = outline.profile;
    facts.tls = startTlsFacts({ sni: outline.serverName, alpn, ja4, ja3: undefined });
    return new SimpleHandshake(bytes, facts.tls, earlyData);
  }

  /** More of the server. */
  server(chunk: Uint8Array): SimpleStep {
    if (this.#client !== undefined) return this.#server === undefined ? "more" : this.#walk(this.#server, chunk);
    const hello = outlineServerHello(chunk, this.hello);
    if (hello === undefined) return "complex";
    const tls = this.#tls;
    tls.version = hello.version;
    tls.cipherSuite = hello.cipherSuite;
    tls.alpnChosen = hello.alpn;
    tls.resumed = hello.resumed;
    tls.certificateExpiry = hello.certificateExpiry;
    this.#client = new Side("client", tls, this.#earlyData);
    if (hello.version === TLS13) return "more";
    this.#server = new Side("server", tls, false);
    return this.#walk(this.#server, chunk);
  }

  /** More of the client. */
  client(chunk: Uint8Array): SimpleStep {
    return this.#client === undefined ? "complex" : this.#walk(this.#client, chunk);
  }

  #walk(side: Side, chunk: Uint8Array): SimpleStep {
    side.push(chunk);
    const isFinished = this.#client?.finished === true && this.#server?.finished !== false;
    if (isFinished) timeHandshake(this.#tls);
    return isFinished || side.over ? "done" : "more";
  }
}

/** What one side says after, or from, its hello. */
class Side implements RecordListener {
  /** Its Finished was seen. */
  finished = false;
  /** Nothing more is to be learnt from it. */
  over = false;
  readonly #from: "client" | "server";
  readonly #tls: TlsFacts;
  readonly #earlyData: boolean;
  readonly #records = new RecordWalk();
  #encrypts = false;

  constructor(from: "client" | "server", tls: TlsFacts, earlyData: boolean) {
    this.#from = from;
    this.#tls = tls;
    this.#earlyData = earlyData;
  }

  push(chunk: Uint8Array): void {
    if (!this.finished) this.#records.push(chunk, this);
  }

  record(type: number, length: number, level: number, description: number): boolean {
    const isTls13 = this.#tls.version === TLS13;
    switch (type) {
      case CHANGE_CIPHER_SPEC:
        this.#encrypts = true;
        return true;
      case ALERT:
        // A warning ends nothing.
        if (length === 2 && level === 1) return true;
        if (length === 2) this.#tls.alert = { from: this.#from, description };
        break;
      case HANDSHAKE:
        // Up to TLS 1.2 the first one after ChangeCipherSpec is the Finished.
        if (isTls13) break;
        if (!this.#encrypts) return true;
        this.finished = true;
        return false;
      case APPLICATION_DATA:
        if (isTls13 && length >= SHORTEST_FINISHED) {
          this.finished = true;
          return false;
        }
        if (isTls13 && this.#earlyData) return true;
        break;
      default:
        break;
    }
    this.over = true;
    return false;
  }
}
