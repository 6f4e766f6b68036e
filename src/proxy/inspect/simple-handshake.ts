import { outlineClientHello, outlineServerHello } from "../../protocol/tls/hello-outline.ts";
import { type InsideFacts, startTlsFacts, type TlsFacts, timeHandshake } from "./inside-facts.ts";

/**
 * Bytes of a record of TLS 1.3 with a Finished in the shortest encryption: type
 * and length 4, hash 32, content type 1, tag 8. Alerts are shorter, and so is
 * the EndOfEarlyData that comes first after early data (RFC 8446 §4.5).
 */
export const SHORTEST_FINISHED = 45;

const HEADER_BYTES = 5;
/** Types of records, RFC 8446 §5.1. */
const [CHANGE_CIPHER_SPEC, ALERT, APPLICATION_DATA] = [20, 21, 23];

/** What came of a chunk: it goes on, all is known, or watchers have to take over from here. */
export type SimpleStep = "more" | "done" | "complex";

/**
 * The handshake of nearly every connection: TLS 1.3, each hello whole in the
 * chunk that it came in, and nobody waits for a verdict. It is read without
 * watchers, at a fraction of the cost.
 */
export class SimpleHandshake {
  /** The client's first chunk, in case that a watcher has to read it after all. */
  readonly hello: Uint8Array;
  readonly #tls: TlsFacts;
  readonly #earlyData: boolean;
  #answered = false;
  /** The beginning of a record of the client, of which the rest has not come. */
  #partial: Uint8Array | undefined;

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
    if (this.#answered) return "more";
    const hello = outlineServerHello(chunk);
    if (hello === undefined) return "complex";
    this.#answered = true;
    this.#tls.version = hello.version;
    this.#tls.cipherSuite = hello.cipherSuite;
    this.#tls.resumed = hello.resumed;
    return "more";
  }

  /** More of the client: after the hellos only the headers of its records tell something. */
  client(chunk: Uint8Array): SimpleStep {
    if (!this.#answered) return "complex";
    const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk]);
    let at = 0;
    while (at + HEADER_BYTES <= bytes.length) {
      const type = bytes[at];
      const length = ((bytes[at + 3] ?? 0) << 8) | (bytes[at + 4] ?? 0);
      const end = at + HEADER_BYTES + length;
      if (type === APPLICATION_DATA && length >= SHORTEST_FINISHED) {
        timeHandshake(this.#tls);
        return "done";
      }
      const isAlert = type === ALERT && length === 2;
      const isSkipped = (type === CHANGE_CIPHER_SPEC && length === 1) || (type === APPLICATION_DATA && this.#earlyData);
      if (!isAlert && !isSkipped) return "done";
      if (end > bytes.length) break;
      if (isAlert) {
        this.#tls.alert = { from: "client", description: bytes[end - 1] ?? 0 };
        return "done";
      }
      at = end;
    }
    // Less than one short record.
    this.#partial = at < bytes.length ? bytes.subarray(at) : undefined;
    return "more";
  }
}
