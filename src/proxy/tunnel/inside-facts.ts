import type { ClientProfile } from "../../protocol/tls/read/client-profiles.ts";
import { nameAlert, nameCipherSuite, nameVersion } from "../../protocol/tls/read/iana.ts";
import type { Failure } from "../failure.ts";
import type { HandshakeNotes } from "./handshake-notes.ts";
import type { InsideProtocol } from "../policy/inside-demand.ts";

/** What is looked at inside tunnels beyond what rules demand. */
export interface InspectSettings {
  /** First bytes and TLS handshakes, for records and metrics. */
  readonly tls: boolean;
  /** JA3 fingerprints beside JA4. */
  readonly ja3: boolean;
}

/** What the first bytes inside a tunnel have shown so far. It grows while the tunnel is young. */
export interface InsideFacts {
  /** Undefined while too little was said. */
  protocol: InsideProtocol | undefined;
  /** Once a whole ClientHello was seen. */
  tls: TlsFacts | undefined;
  /** Why the tunnel is refused for what was said inside. */
  failure: Failure | undefined;
  /** Why it would have been refused, when the rule only reports it. */
  reported?: Failure | undefined;
}

/** Of a tunnel in which nothing was said yet. */
export const NO_FACTS: Readonly<InsideFacts> = Object.freeze({
  protocol: undefined,
  tls: undefined,
  failure: undefined,
  reported: undefined,
});

/** A TLS handshake as it is in clear on the wire. Numbers are named by `describeInside`. */
export interface TlsFacts {
  /** Server name of the hello, as sent. With Encrypted Client Hello that of the outer one. */
  readonly sni: string | undefined;
  /** Protocols that the client offers, in order of preference. */
  readonly alpn: readonly string[];
  readonly ja4: string;
  /** Only when it was asked for. */
  readonly ja3: string | undefined;
  /** Monotonic milliseconds of the first ClientHello. */
  readonly helloAt: number;
  version: number | undefined;
  cipherSuite: number | undefined;
  /** The protocol that the server chose. In TLS 1.3 that is encrypted. */
  alpnChosen: string | undefined;
  resumed: boolean | undefined;
  /** When the server's certificate ends, in milliseconds since the epoch. In TLS 1.3 that is encrypted. */
  certificateExpiry: number | undefined;
  /** From the ClientHello to the last message of the handshake that was seen here: in TLS 1.3 the client's, before that the later Finished. */
  handshakeMs: number | undefined;
  /** The messages of the handshake that were seen. */
  messages: HandshakeNotes;
  /** A fatal alert in clear, and whose it was. */
  alert: { readonly from: "client" | "server"; readonly description: number } | undefined;
}

/** Text of a peer's making is kept up to here: more than any host name, as much as a sensible offer of protocols. */
const TEXT_LIMIT = 255;
const ALPN_LIMIT = 16;
const NO_MESSAGES: HandshakeNotes = Object.freeze([]);

/** Begins the facts with what a ClientHello shows that came just now. */
export function startTlsFacts(
  sni: string | undefined,
  { alpn, ja4 }: Pick<ClientProfile, "alpn" | "ja4">,
  ja3: string | undefined,
): TlsFacts {
  return {
    sni: sni !== undefined && sni.length > TEXT_LIMIT ? sni.slice(0, TEXT_LIMIT) : sni,
    alpn: alpn.length > ALPN_LIMIT ? alpn.slice(0, ALPN_LIMIT) : alpn,
    ja4,
    ja3,
    helloAt: performance.now(),
    version: undefined,
    cipherSuite: undefined,
    alpnChosen: undefined,
    resumed: undefined,
    certificateExpiry: undefined,
    handshakeMs: undefined,
    messages: NO_MESSAGES,
    alert: undefined,
  };
}

/** Notes that the last message of the handshake that can be seen came just now. */
export function timeHandshake(tls: TlsFacts): void {
  tls.handshakeMs = performance.now() - tls.helloAt;
}

/** The facts of a TLS handshake with names instead of numbers; absent where nothing is known. */
export interface DescribedTls {
  readonly sni: string | undefined;
  /** What the client offers, with commas between. */
  readonly alpn: string | undefined;
  readonly alpnChosen: string | undefined;
  /** `TLS 1.3`. */
  readonly version: string | undefined;
  /** `TLS_AES_128_GCM_SHA256`. */
  readonly cipher: string | undefined;
  readonly resumed: boolean | undefined;
  readonly ja4: string;
  readonly ja3: string | undefined;
  /** ISO 8601 in UTC. */
  readonly certificateExpires: string | undefined;
  readonly handshakeMs: number | undefined;
  /** `server: handshake_failure`. */
  readonly alert: string | undefined;
}

/** Puts the facts of a handshake into words, for records. */
export function describeTls(tls: TlsFacts): DescribedTls {
  const { alpn, version, cipherSuite, certificateExpiry, handshakeMs, alert } = tls;
  return {
    sni: tls.sni,
    alpn: alpn.length === 0 ? undefined : alpn.join(",").slice(0, TEXT_LIMIT),
    alpnChosen: tls.alpnChosen,
    version: version === undefined ? undefined : nameVersion(version),
    cipher: cipherSuite === undefined ? undefined : nameCipherSuite(cipherSuite),
    resumed: tls.resumed,
    ja4: tls.ja4,
    ja3: tls.ja3,
    certificateExpires: certificateExpiry === undefined ? undefined : new Date(certificateExpiry).toISOString(),
    handshakeMs: handshakeMs === undefined ? undefined : Math.round(handshakeMs * 1000) / 1000,
    alert: alert && `${alert.from}: ${nameAlert(alert.description)}`,
  };
}
