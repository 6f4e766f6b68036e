import { timeHandshake, type TlsFacts } from "./inside-facts.ts";
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

/** What one side says after the hellos, or from its own on: headers of records tell when it has finished. */
export class HandshakeSide implements RecordListener {
  /** Its Finished was seen. */
  finished = false;
  /** Nothing more is to be learnt from it. */
  over = false;
  readonly #from: "client" | "server";
  readonly #tls: TlsFacts;
  readonly #earlyData: boolean;
  readonly #records = new RecordWalk();
  #encrypts = false;

  constructor(from: "client" | "server", tls: TlsFacts, earlyData = false) {
    this.#from = from;
    this.#tls = tls;
    this.#earlyData = earlyData;
  }

  push(chunk: Uint8Array): void {
    if (!this.finished && !this.over) this.#records.push(chunk, this);
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

/**
 * Whether a client's answer to the hellos of TLS 1.3 begins as nearly all do:
 * a dummy ChangeCipherSpec, or none, then a record that can hold the Finished.
 */
export function beginsWithFinished(chunk: Uint8Array): boolean {
  const at = chunk[0] === CHANGE_CIPHER_SPEC && chunk[3] === 0 && chunk[4] === 1 ? 6 : 0;
  return chunk[at] === APPLICATION_DATA && readLength(chunk, at) >= SHORTEST_FINISHED;
}

/** Of the record that begins at `at`; 0 when its header is not all there. */
function readLength(chunk: Uint8Array, at: number): number {
  return at + 5 > chunk.length ? 0 : ((chunk[at + 3] ?? 0) << 8) | (chunk[at + 4] ?? 0);
}

/** Notes the time when both have finished. Gives whether nothing more is to be learnt from either. */
export function concludeHandshake(tls: TlsFacts, client: HandshakeSide, server: HandshakeSide | undefined): boolean {
  const isFinished = client.finished && server?.finished !== false;
  if (isFinished) timeHandshake(tls);
  return isFinished || client.over || server?.over === true;
}
