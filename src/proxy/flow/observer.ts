import type { Conn } from "../../net/conn/conn.ts";
import type { TunnelEnd } from "../tunnel/tunnel.ts";

/** The two ends of a tunnel. */
export type TunnelSide = "client" | "target";

/** Where the connections of a tunnel lead. */
export type TunnelEnds = Readonly<
  Record<TunnelSide, Pick<Conn, "remoteAddress" | "remotePort" | "localAddress" | "localPort">>
>;

/** A tunnel, as its observer sees it. */
export interface WatchedTunnel {
  readonly ends: TunnelEnds;
  /** Bytes that passed before the observer came. */
  readonly passed: { readonly up: number; readonly down: number };
  /** Ends the observation: the observer is told nothing more. */
  lookAway(): void;
}

/**
 * Sees everything that passes through a tunnel. Synchronous, and never throws.
 * It must copy bytes that it keeps, and must not change them. A tunnel with an
 * observer stays in the relay.
 */
export interface Observer {
  /** Called once, before anything else. */
  begin(tunnel: WatchedTunnel): void;
  /** Bytes came from a side. */
  came(from: TunnelSide, bytes: Uint8Array): void;
  /** The socket of a side took bytes. */
  went(to: TunnelSide, bytes: Uint8Array): void;
  /** A side sent FIN. */
  ended(from: TunnelSide): void;
  /** FIN was sent to a side. */
  finished(to: TunnelSide): void;
  /** The tunnel is over. The last call. */
  over(end: TunnelEnd): void;
}
