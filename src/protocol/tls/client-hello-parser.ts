import type { Parsed } from "../parsed.ts";
import type { ClientHello } from "./client-hello.ts";
import { createTlsWatcher, type GaveUpReason } from "./tls-watcher.ts";

/** Reads one ClientHello that arrives in parts. */
export interface ClientHelloParser {
  /**
   * Takes all the bytes that a client sent so far, each time from the first on:
   * it goes on where it stopped. `used` counts the bytes up to the end of the
   * hello, record headers included. After `done` or `bad` it is spent.
   */
  parse(bytes: Uint8Array): Parsed<ClientHello, GaveUpReason>;
}

/** `maxBytes` bounds the hello itself, see `createTlsWatcher`. */
export function createClientHelloParser(maxBytes?: number): ClientHelloParser {
  const watcher = createTlsWatcher({
    from: "client",
    ...(maxBytes !== undefined && { maxMessageBytes: maxBytes }),
  });
  let seen = 0;
  return {
    parse(bytes) {
      const [event] = watcher.push(bytes.subarray(seen));
      seen = bytes.length;
      if (event?.kind === "handshake" && event.message.type === "client_hello")
        return { kind: "done", value: event.message, used: event.end };
      if (event?.kind === "gave_up") return { kind: "bad", code: event.reason, at: event.at };
      return { kind: "more" };
    },
  };
}
