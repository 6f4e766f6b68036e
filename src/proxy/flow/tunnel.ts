import type { Budget } from "../../net/conn/budget.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { Traffic } from "./flow.ts";

/** How a tunnel ended. The closed set that records, metrics and tests use. */
export type TunnelEnd =
  | "closed" // both sides sent FIN
  | "client_reset"
  | "target_reset"
  | "idle_timeout"
  | "killed" // by an operator
  | "drained" // the time that shutting down allows ran out
  | "denied" // by a rule, for what the client said inside, or by the rules of a reload
  | "quota_exceeded" // its user has used up a quota, and the configuration says "end"
  | "lane_lost"; // the thread that carried it died

/** Why a tunnel is ended that its two sides would let go on. */
export type KilledEnd = Extract<TunnelEnd, "killed" | "drained" | "denied" | "quota_exceeded">;

/** What is known of a tunnel once it is over. */
export interface TunnelResult {
  readonly end: TunnelEnd;
  /** Payload bytes from client to target, and from target to client. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/** A tunnel under way, whichever engine carries it. */
export interface Tunnel {
  readonly done: Promise<TunnelResult>;
  /** Exact bytes so far. */
  bytes(): { up: number; down: number };
  /** Ends it at once with RST on both sides. */
  kill(end: KilledEnd): void;
  /** The bucket that one of its directions waits for; undefined when neither waits. */
  readonly waitsFor?: number | undefined;
  /** Goes on with other budgets, or without them. Without effect when it is over. */
  limit?(up: Budget | undefined, down: Budget | undefined): void;
  /** Lets somebody see what passes from now on. Without effect where nobody can look: in a lane, or when it is over. */
  watch?(observer: Observer): void;
  /**
   * Takes both sockets away, for another engine to carry on, also in another
   * process. The owner is told nothing more. Undefined when that cannot be now: a
   * side is encrypted or dead, or the first bytes are being looked at. `hurried`
   * also ends a look that judges nothing.
   */
  take?(hurried: boolean): TakenTunnel | undefined | Promise<TakenTunnel | undefined>;
}

/** A tunnel that was taken from its engine. The descriptors belong to whoever took it. */
export interface TakenTunnel {
  readonly clientFd: number;
  readonly targetFd: number;
  readonly before: TunnelBefore;
}

/** What a tunnel had come to where it was carried before. */
export interface TunnelBefore {
  /** Bytes that were delivered. */
  readonly up: number;
  readonly down: number;
  /** Bytes that were read on one side and not delivered to the other; absent for none. */
  readonly upRest?: Uint8Array | undefined;
  readonly downRest?: Uint8Array | undefined;
  /** The FIN of that direction was passed on. */
  readonly upFinished?: boolean;
  readonly downFinished?: boolean;
  /** Monotonic milliseconds of the last byte, or `ACTIVE`; absent for just now. */
  readonly lastActivity?: number;
}

/** Whose tunnel it is. */
export interface TunnelOwner {
  /**
   * The tunnel is over. Called once, and never before the engine has returned the
   * tunnel. Both connections are closed, but for that of a client that was told
   * why it is `denied`: the owner closes that one, so that the words arrive.
   */
  tunnelOver(result: TunnelResult): void;
  /** Makes the tap of a tunnel that is `tappedLater`: its first bytes have come. */
  makeTap?(): TunnelTap | undefined;
}

export interface TunnelOptions {
  /** Milliseconds without a byte in either direction after which the tunnel is closed; 0 for never. */
  readonly idleMs: number;
  /** Told of the end, for less than the promise `done` costs. */
  readonly owner?: TunnelOwner;
  /** What the tunnel had come to where it was before. */
  readonly before?: TunnelBefore;
  /** Where its bytes are counted beside those of others. */
  readonly traffic?: Traffic;
  /** Limit the bytes of a direction. Without one nothing does. */
  readonly upBudget?: Budget | undefined;
  readonly downBudget?: Budget | undefined;
  /** Looks at the first bytes. Until it has seen enough the tunnel stays in the relay. */
  readonly tap?: TunnelTap | undefined;
  /** Instead of `tap`: the owner makes one when the first bytes come. */
  readonly tappedLater?: boolean;
  /** See everything from the first byte on. As long as there is one the tunnel stays in the relay. */
  readonly observers?: readonly Observer[] | undefined;
}

/** An engine takes two detached connections and carries bytes between them until both are done. */
export type TunnelEngine = (client: Conn, target: Conn, options: TunnelOptions) => Tunnel;

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
  /** The tunnel goes on in another process, where the observer cannot follow. The last call. */
  moved?(): void;
}

/**
 * Reads the first bytes of a tunnel as they pass, and may hold those of the
 * client until it has judged them. Synchronous. It must copy bytes that it
 * keeps, and must not change them.
 */
export interface TunnelTap {
  /** It has seen enough and holds nothing: it sees nothing more, and the tunnel may leave the relay. */
  readonly done: boolean;
  /** Called once, before anything else. */
  begin(port: TapPort): void;
  /** Bytes from the client. Returns what goes on to the target now; undefined when all is held, or after a refusal. */
  up(chunk: Uint8Array): Uint8Array | undefined;
  /** The client sent FIN. Returns what goes on before it. */
  upEnd(): Uint8Array | undefined;
  /** Bytes from the target. Returns what goes on to the client; undefined after a refusal. */
  down(chunk: Uint8Array): Uint8Array | undefined;
  /** The tunnel is over. Called at most once, unless `done`. */
  close(): void;
  /**
   * Asks it to look no more, so that the tunnel can be taken from its engine. False
   * as long as it judges, and, unless `hurried`, in the middle of what it notes.
   */
  letGo(hurried: boolean): boolean;
}

/** The tunnel, as its tap can change it. */
export interface TapPort {
  /** Sends held bytes on to the target, at another time than when bytes come. */
  pass(bytes: Uint8Array): void;
  /** Ends the tunnel with `denied`, after `lastWords` to the client. */
  refuse(lastWords: Uint8Array): void;
}
