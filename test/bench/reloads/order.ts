import type { Tally } from "./tally.ts";

/** What the clients are to do. They are a process of their own. */
export interface ClientOrder {
  readonly clearPort: number;
  readonly tlsPort: number;
  /** PEM of the authority of the listeners. */
  readonly ca: string;
  /** `name:password`. */
  readonly credentials: string;
  readonly echoPort: number;
  readonly httpPort: number;
  readonly streamPort: number;
  readonly connectsPerSecond: number;
  /** Of the CONNECTs, one in so many comes over TLS. */
  readonly tlsEach: number;
  /** Kept connections that forward a request every 50 ms. */
  readonly forwarders: number;
  readonly tunnels: { readonly lanes: number; readonly relay: number; readonly tls: number };
  /** Bytes each way after which a clear tunnel is in a lane. */
  readonly laneBytes: number;
}

/** What the clients are told while they run. */
export type ClientCommand =
  | { readonly kind: "start"; readonly order: ClientOrder }
  /** A listener was added. */
  | { readonly kind: "add"; readonly port: number; readonly tls: boolean }
  /** That listener is about to be removed. */
  | { readonly kind: "removing" }
  /** It is removed. */
  | { readonly kind: "removed" }
  | { readonly kind: "stop" };

/** What the clients tell. */
export type ClientMessage = { readonly kind: "ready" } | { readonly kind: "done"; readonly report: ClientReport };

export interface ClientReport {
  readonly connects: Tally;
  readonly forwards: Tally;
  readonly tunnels: Readonly<Record<keyof ClientOrder["tunnels"], Tally>>;
  /** Bytes that the long tunnels carried, both ways. */
  readonly tunnelBytes: number;
  readonly seconds: number;
}
