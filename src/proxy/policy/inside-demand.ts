import type { FirstBytes } from "../../protocol/tls/read/recognise-first-bytes.ts";
import type { ServerNames } from "./target-set.ts";

/** The protocol inside a tunnel, by the client's first bytes. `unknown` is everything else, and what only looks like TLS. */
export type InsideProtocol = Exclude<FirstBytes, "more">;

/** A rule's demands on the first bytes inside a tunnel. None of them reaches the target before they meet the demands. */
export interface InsideDemand {
  /** What may be spoken. With `unknown` also silence: a client that waits for the target to speak. */
  readonly protocols: ReadonlySet<InsideProtocol>;
  /** For TLS: the names that SNI may have. `match`: only the one that the tunnel was asked for. */
  readonly sni?: "match" | ServerNames;
  /** The lowest version of TLS that client and server may agree on, as on the wire: 0x0303 for TLS 1.2. */
  readonly minVersion?: number;
  /** For TLS: JA4 fingerprints of the clients that may pass. */
  readonly ja4?: ReadonlySet<string>;
  /** For TLS: no Encrypted Client Hello; `grease`: but one that looks like the random bytes of a client without a key. */
  readonly ech?: "deny" | "grease";
  /** What breaches the demand passes, and is recorded. */
  readonly reports?: true;
}
