import type { PacketEndpoint } from "../../protocol/pcapng/ip-packet.ts";
import type { ProbeVerdict } from "../../net/runtime/tls-probe.ts";
import type { Recording } from "./recording.ts";
import type { TraceRequest } from "./trace-request.ts";

/** Where a trace ended that did not reach its end. */
export type TraceStage = "resolve" | "connect" | "proxy-tls" | "proxy" | "tls" | "certificate" | "http";

/** Everything that was seen of one connection, as it came. Times are milliseconds since the beginning. */
export interface TraceRecord {
  readonly request: TraceRequest;
  /** Milliseconds since the epoch. */
  readonly startedAt: number;
  readonly lookups: LookupRecord[];
  readonly attempts: AttemptRecord[];
  /** A connection on which the proxy only said how we are to authenticate. */
  challenged: Pick<TraceRecord, "wire" | "proxyTls"> | undefined;
  /** The TCP connection, once there is one. */
  wire: WireRecord | undefined;
  /** TLS to the proxy. */
  proxyTls: SecureRecord | undefined;
  /** How many bytes of the stream to the proxy came before the tunnel. */
  tunnelAt: { readonly client: number; readonly server: number } | undefined;
  /** TLS to the server. */
  tls: SecureRecord | undefined;
  /** What the request and its response were, in clear. */
  http: Recording | undefined;
  /** Whether the body was longer than what a trace reads. */
  cut: boolean;
  failure: TraceFailure | undefined;
  endedAt: number;
}

/** A question to DNS. */
export interface LookupRecord {
  readonly at: number;
  readonly name: string;
  readonly family: 4 | 6;
  /** When the answer came. */
  readonly answeredAt: number;
  /** Addresses, or the word for what went wrong. */
  readonly answer: readonly string[] | string;
}

/** A TCP connection that was tried. */
export interface AttemptRecord {
  readonly at: number;
  readonly address: string;
  /** When it stood or failed; undefined when it was given up for another one. */
  endedAt: number | undefined;
  /** The errno word of a failure. */
  code: string | undefined;
}

export interface WireRecord {
  readonly recording: Recording;
  readonly local: PacketEndpoint;
  readonly remote: PacketEndpoint;
}

/** One TLS connection. Its own bytes are in the stream below. */
export interface SecureRecord {
  readonly serverName: string;
  /** Lines of the NSS key log. */
  readonly secrets: string[];
  /** Undefined as long as the handshake is not done. */
  verdict: ProbeVerdict | undefined;
  /** What went through it. */
  readonly inside: Recording;
}

export interface TraceFailure {
  readonly stage: TraceStage;
  readonly at: number;
  /** A sentence for a person, without its stop. */
  readonly text: string;
}
