import type { Detachable } from "./conn.ts";

/** How a tunnel in a lane ended, seen from the lane. */
export type LaneEnd = "closed" | "client_reset" | "target_reset" | "idle_timeout" | "killed" | "released";

/** How a tunnel in a lane ended, seen from its owner. */
export type LanedTunnelEnd = LaneEnd | "lane_lost";

/** Two sockets to carry bytes between. */
export interface LaneSockets {
  /** Non-blocking TCP sockets that nobody else reads or writes. The lane owns the descriptors and closes them. */
  readonly clientFd: number;
  readonly targetFd: number;
  /** Milliseconds without a byte in either direction after which the tunnel is ended; 0 for never. */
  readonly idleMs: number;
  /** The client's FIN has come and has been passed on to the target already. */
  readonly upFinished?: boolean;
  /** The target's FIN has come and has been passed on to the client already. */
  readonly downFinished?: boolean;
}

/** A tunnel in a lane. */
export interface LanedTunnel {
  /** Bytes that the lane has delivered so far, each way: exact, read from shared memory. */
  bytes(): { up: number; down: number };
  /** Comes true once, with the final counts in `bytes()`. Never rejects. */
  readonly done: Promise<LanedTunnelEnd>;
  /** Ends it at once with RST on both sides. */
  kill(): void;
  /**
   * Asks for the sockets back, which come with `released`, as soon as no byte is
   * on the way. Without effect when a direction has ended.
   */
  release(): void;
}

/** Where lanes stand, for the log, `/config` and metrics. */
export interface LaneStatus {
  readonly lanes: number;
  readonly tunnels: number;
  /** Threads that died since the start. */
  readonly lost: number;
}

export interface LanePool {
  /** Whether `adopt` would succeed now. Asking starts the first lane, so that a later question finds it running. */
  hasRoom(): boolean;
  /** Hands two sockets to the lane with the fewest tunnels. Only after `hasRoom()` said yes, without an `await` in between. */
  adopt(sockets: LaneSockets): LanedTunnel;
  /** Takes the descriptors of two connections, for `adopt`; undefined when none are left, and then both are as they were. */
  takeOver(first: Detachable, second: Detachable): readonly [number, number] | undefined;
  /** Comes true once a lane runs, false when none can be had. Starts one if need be. */
  warm(): Promise<boolean>;
  status(): LaneStatus;
  /** Ends every tunnel with RST and every thread; comes true when all is given back. */
  stop(): Promise<void>;
  /** Kills one running lane as a crash would: for tests of what that does to others. Returns false when there is none. */
  crashOne(): boolean;
}

export type LanesResult =
  | { readonly ok: true; readonly pool: LanePool; readonly pipeBytes: number }
  | { readonly ok: false; readonly reason: string };
