import type { HandshakeMessage } from "./handshake-message.ts";

/** Where something stands in the stream of one direction: offsets in bytes from its beginning, record headers counted. */
interface Span {
  /** First byte. For a message: of the record that it begins in, or its own when others are before it in that record. */
  readonly at: number;
  /** After the last byte. */
  readonly end: number;
}

/** What a direction of TLS shows. Lengths are of the payload, in bytes, without record headers. */
export type TlsEvent = Span &
  (
    | {
        readonly kind: "handshake";
        /** Version in the header of the record. 0x0301 or 0x0303 says little. */
        readonly recordVersion: number;
        readonly message: HandshakeMessage;
      }
    | { readonly kind: "change_cipher_spec" }
    | {
        readonly kind: "alert";
        /** 1 warning, 2 fatal; `nameAlertLevel`, `nameAlert`. */
        readonly level: number;
        readonly description: number;
      }
    | {
        /** A record after ChangeCipherSpec up to TLS 1.2. The first handshake one is the Finished. */
        readonly kind: "encrypted";
        readonly content: "handshake" | "alert";
        readonly length: number;
      }
    | {
        /** In TLS 1.3 also the encrypted rest of the handshake. */
        readonly kind: "application_data" | "heartbeat";
        readonly length: number;
      }
    | {
        /** The last event: what follows is not looked at. The span is empty, where what is wrong begins. */
        readonly kind: "gave_up";
        readonly reason: GaveUpReason;
      }
  );

/**
 * Why a watcher stopped looking:
 * - `not_tls`: it does not begin like TLS.
 * - `malformed`: it began like TLS, and then a record or a message is not valid.
 * - `too_long`: a message is longer than the watcher may hold.
 */
export type GaveUpReason = "not_tls" | "malformed" | "too_long";
