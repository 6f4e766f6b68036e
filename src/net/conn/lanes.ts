import type { Detachable } from "./conn.ts";

/** How a tunnel in a lane ended, seen from the lane. */
export type LaneEnd = "closed" | "client_reset" | "target_reset" | "idle_timeout" | "killed" | "released";

/** How a tunnel in a lane ended, seen from its owner. */
export type LanedTunnelEnd = LaneEnd | "lane_lost";

/** Buckets that may limit one direction of a tunnel in a lane. */
export const maxBuckets = 4;

/** Two sockets to carry bytes between. */
export interface LaneSockets {
  /** Non-blocking TCP sockets that only the lane reads and writes. It owns the descriptors and closes them. */
  readonly clientFd: number;
  readonly targetFd: number;
  /** Milliseconds without a byte in either direction after which the tunnel is ended; 0 for never. */
  readonly idleMs: number;
  /** The client's FIN has come and has been passed on to the target already. */
  readonly upFinished?: boolean;
  /** The target's FIN has come and has been passed on to the client already. */
  readonly downFinished?: boolean;
  /** Numbers of the buckets that limit a direction, at most `maxBuckets`; absent for no limit. Only where the pool `limits`. */
  readonly upBuckets?: readonly number[] | undefined;
  readonly downBuckets?: readonly number[] | undefined;
}

export interface LanedTunnel {
  /** Bytes that the lane has delivered so far, each way: exact, read from shared memory. */
  bytes(): { up: number; down: number };
  /** Resolves once, when `bytes()` has the final counts. Never rejects. */
  readonly done: Promise<LanedTunnelEnd>;
  /** A bucket that a direction waits for; undefined when none waits. */
  readonly waitsFor: number | undefined;
  /** Ends it at once with RST on both sides. */
  kill(): void;
  /** Asks for the sockets back. They come with `released`, in `left`. */
  release(): void;
  /** Set once it is `released`. */
  readonly left: LeftLane | undefined;
}

/** What a lane gives back with a tunnel. The caller owns the descriptors. */
export interface LeftLane {
  readonly clientFd: number;
  readonly targetFd: number;
  /** Bytes that were taken off one socket and not written to the other. */
  readonly upRest: Uint8Array | undefined;
  readonly downRest: Uint8Array | undefined;
  /** The FIN of that direction was passed on. */
  readonly upFinished: boolean;
  readonly downFinished: boolean;
  /** Milliseconds since the last byte. */
  readonly idleForMs: number;
}

/** The state of the lanes, for the log, `/config` and metrics. */
export interface LaneStatus {
  readonly lanes: number;
  readonly tunnels: number;
  /** Threads that died since the start. */
  readonly lost: number;
}

export interface LanePool {
  /** Whether lanes know the buckets that budgets are made of. */
  readonly limits: boolean;
  /** Whether `adopt` would succeed now. The first call starts a lane, which later calls find running. */
  hasRoom(): boolean;
  /** Hands two sockets to the lane with the fewest tunnels. Only after `hasRoom()` said yes, without an `await` in between. */
  adopt(sockets: LaneSockets): LanedTunnel;
  /** Takes the descriptors of two connections, for `adopt`; undefined when none are left, and then both are as they were. */
  takeOver(first: Detachable, second: Detachable): readonly [number, number] | undefined;
  /**
   * Starts the first lane, and has the runtime compile meanwhile what serves tunnels
   * under a limit: for at most a second, until `hasRoom` is asked or what it returns is called.
   */
  rehearse(): () => void;
  /** Resolves to true once a lane runs, to false when none can start. Starts one if need be. */
  warm(): Promise<boolean>;
  status(): LaneStatus;
  /** Bytes that all lanes have delivered, each way, since the start. */
  moved(): { up: number; down: number };
  /** Ends every tunnel with RST and every thread. Resolves when all descriptors are closed. */
  stop(): Promise<void>;
  /** Kills one running lane as a crash would, for tests. Returns false when there is none. */
  crashOne(): boolean;
}

export type LanesResult =
  | { readonly ok: true; readonly pool: LanePool; readonly pipeBytes: number }
  | { readonly ok: false; readonly reason: string };
