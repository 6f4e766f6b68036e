import type { ClientHello } from "./client-hello.ts";
import type { ServerHello } from "./server-hello.ts";

/** What was agreed, as far as two hellos in clear show it. Numbers are named by `iana.ts`. */
export interface HandshakeSummary {
  readonly version: number;
  readonly cipherSuite: number;
  /** The protocol chosen; undefined when there is none, and always in TLS 1.3, where it is encrypted. */
  readonly alpn: string | undefined;
  /** The group of a TLS 1.3 key exchange; before, the ServerKeyExchange has it. */
  readonly group: number | undefined;
  /** Whether an earlier session was resumed, or in TLS 1.3 a pre-shared key used. A client of TLS 1.2 that offers a ticket and no session id does not let it be seen. */
  readonly resumed: boolean;
}

const TLS13 = 0x0304;

/** Puts a ClientHello and the ServerHello that answers it together. After a HelloRetryRequest that is the second of each. */
export function summariseHandshake(client: ClientHello, server: ServerHello): HandshakeSummary {
  return {
    version: server.version,
    cipherSuite: server.cipherSuite,
    alpn: server.alpn,
    group: server.keyShare?.group,
    resumed: isResumed(client, server),
  };
}

function isResumed(client: ClientHello, server: ServerHello): boolean {
  if (server.helloRetryRequest) return false;
  if (server.version >= TLS13) return server.pskIndex !== undefined;
  // RFC 5246 §7.4.1.3. With a ticket the client invents an id to see it repeated, RFC 5077 §3.4.
  const { sessionId } = client;
  return (
    sessionId.length > 0 &&
    sessionId.length === server.sessionId.length &&
    sessionId.every((byte, index) => byte === server.sessionId[index])
  );
}
