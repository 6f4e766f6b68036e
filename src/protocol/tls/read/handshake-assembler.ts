import { HANDSHAKE_TYPE, type HandshakeMessage, parseHandshakeMessage } from "./handshake-message.ts";
import type { ServerHello } from "./server-hello.ts";

/** A step of putting messages together. Offsets are the caller's. */
export type AssemblyStep =
  | { readonly kind: "more" }
  | {
      readonly kind: "done";
      readonly message: HandshakeMessage;
      /** The offset given with the first byte of the message. */
      readonly at: number;
      /** How many of the bytes just given belong to it. */
      readonly used: number;
    }
  | {
      readonly kind: "bad";
      readonly reason: "not_tls" | "malformed" | "too_long";
      readonly at: number;
    };

/** Puts handshake messages in clear together from the payloads of records. */
export interface HandshakeAssembler {
  /** Takes bytes up to the end of one message at most. `offset` is where they stand in the stream. */
  push(bytes: Uint8Array, offset: number): AssemblyStep;
  /** Forgets the message begun. */
  clear(): void;
  /** Whether a message is begun and not complete. */
  readonly busy: boolean;
  /** What the last message was. */
  readonly last: "nothing" | "client_hello" | "hello_retry_request" | "other";
}

const HEADER_BYTES = 4;
/** What is set aside for a message of which the beginning is there. It grows with what really comes. */
const FIRST_CAPACITY = 1024;

/** `maxBytes` bounds the body of a message. The first one must be the hello of the side that speaks. */
export function createHandshakeAssembler(from: "client" | "server", maxBytes: number): HandshakeAssembler {
  const firstType = from === "client" ? HANDSHAKE_TYPE.clientHello : HANDSHAKE_TYPE.serverHello;
  const header = new Uint8Array(HEADER_BYTES);
  let headerFilled = 0;
  let body = new Uint8Array(0);
  let bodyFilled = 0;
  let startedAt = 0;
  let serverHello: ServerHello | undefined;
  let last: HandshakeAssembler["last"] = "nothing";

  function push(bytes: Uint8Array, offset: number): AssemblyStep {
    if (headerFilled === 0) startedAt = offset;
    let used = 0;
    if (headerFilled < HEADER_BYTES) {
      const part = bytes.subarray(0, HEADER_BYTES - headerFilled);
      header.set(part, headerFilled);
      headerFilled += part.length;
      used = part.length;
      if (last === "nothing" && header[0] !== firstType) return { kind: "bad", reason: "not_tls", at: startedAt };
      if (headerFilled < HEADER_BYTES) return { kind: "more" };
    }
    const length = ((header[1] ?? 0) << 16) | ((header[2] ?? 0) << 8) | (header[3] ?? 0);
    if (length > maxBytes) return { kind: "bad", reason: "too_long", at: startedAt };
    const part = bytes.subarray(used, used + length - bodyFilled);
    append(part, length);
    used += part.length;
    return bodyFilled < length ? { kind: "more" } : finish(used);
  }

  function append(part: Uint8Array, length: number): void {
    const needed = bodyFilled + part.length;
    if (needed > body.length) {
      const capacity = Math.max(needed, body.length * 2, FIRST_CAPACITY);
      const larger = new Uint8Array(Math.min(capacity, length));
      larger.set(body.subarray(0, bodyFilled));
      body = larger;
    }
    body.set(part, bodyFilled);
    bodyFilled = needed;
  }

  function finish(used: number): AssemblyStep {
    const parsed = parseHandshakeMessage(header[0] ?? 0, body, serverHello);
    // The message keeps views of its body: the next one gets a buffer of its own.
    clear();
    if (parsed.kind === "bad") return { kind: "bad", reason: "malformed", at: startedAt };
    const message = parsed.value;
    if (message.type === "server_hello") {
      serverHello = message;
      last = message.helloRetryRequest ? "hello_retry_request" : "other";
    } else last = message.type === "client_hello" ? "client_hello" : "other";
    return { kind: "done", message, at: startedAt, used };
  }

  function clear(): void {
    headerFilled = 0;
    body = new Uint8Array(0);
    bodyFilled = 0;
  }

  return {
    push,
    clear,
    get busy() {
      return headerFilled > 0;
    },
    get last() {
      return last;
    },
  };
}
