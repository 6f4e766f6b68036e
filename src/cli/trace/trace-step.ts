import type { MessageField } from "../../protocol/tls/explain/describe-message.ts";

/** Who takes part: the one that traces, DNS, the proxy and the server. */
export type Party = "client" | "dns" | "proxy" | "server";

export type TraceLayer = "dns" | "tcp" | "proxy" | "tls" | "http";

/** One thing that happened: a message from one party to another. */
export interface TraceStep {
  /** Milliseconds since the beginning, when it was sent or had come whole. */
  readonly at: number;
  /** Where it ends in the TLS stream of its sender, which orders what came at once. */
  readonly offset?: number;
  readonly from: Party;
  readonly to: Party;
  readonly layer: TraceLayer;
  /** The name of the message. */
  readonly name: string;
  /** Bytes of the message on its layer; undefined where it has none of its own. */
  readonly bytes?: number;
  /** Whether it was encrypted on the wire, and is shown because the keys are known. */
  readonly sealed?: boolean;
  readonly fields: readonly MessageField[];
  /** Labels of the fields to show where there is room for the most telling ones only. */
  readonly telling: readonly string[];
}
