import type { Parsed } from "../parsed.ts";
import type { ClientHello } from "./client-hello.ts";
import { createTlsWatcher, type GaveUpReason } from "./tls-watcher.ts";

/**
 * Reads the ClientHello at the start of what a client sent. `used` counts the
 * bytes up to its end, record headers included; nothing is taken away, for the
 * whole of it is still to be forwarded.
 *
 * Looks at all of `bytes` each time: for bytes that come in pieces use
 * `createTlsWatcher`, whose cost does not grow with the number of pieces.
 */
export function readClientHello(bytes: Uint8Array, maxBytes?: number): Parsed<ClientHello, GaveUpReason> {
  const watcher = createTlsWatcher({
    from: "client",
    ...(maxBytes !== undefined && { maxMessageBytes: maxBytes }),
  });
  const [event] = watcher.push(bytes);
  if (event?.kind === "handshake" && event.message.type === "client_hello")
    return { kind: "done", value: event.message, used: event.end };
  if (event?.kind === "gave_up") return { kind: "bad", code: event.reason, at: event.at };
  return { kind: "more" };
}
