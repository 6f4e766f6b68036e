import type { Budget } from "../../net/conn/budget.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { TunnelTap } from "../flow/tap.ts";
import type { Observer } from "../flow/observer.ts";

/** How a tunnel ended. The closed set that records, metrics and tests use. */
export type TunnelEnd =
  | "closed" // both sides sent FIN
  | "client_reset"
  | "target_reset"
  | "idle_timeout"
  | "killed" // by an operator
  | "drained" // the time that shutting down allows ran out
  | "denied" // by a rule, for what the client said inside
  | "lane_lost"; // the thread that carried it died

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
  kill(end: "killed" | "drained"): void;
  /** Lets somebody see what passes from now on. Without effect where nobody can look: in a lane, or when it is over. */
  watch?(observer: Observer): void;
}

/** Whose tunnel it is. */
export interface TunnelOwner {
  /** The tunnel is over. Called once, and never before the engine has given the tunnel. */
  tunnelOver(result: TunnelResult): void;
}

export interface TunnelOptions {
  /** Milliseconds without a byte in either direction after which the tunnel is closed; 0 for never. */
  readonly idleMs: number;
  /** Told of the end, for less than the promise `done` costs. */
  readonly owner?: TunnelOwner;
  /** Bytes that have been carried already, where the tunnel was before. */
  readonly before?: { readonly up: number; readonly down: number };
  /** Limit the bytes of a direction. Without one nothing does. */
  readonly upBudget?: Budget | undefined;
  readonly downBudget?: Budget | undefined;
  /** Looks at the first bytes. Until it has seen enough the tunnel stays in the relay. */
  readonly tap?: TunnelTap | undefined;
  /** See everything from the first byte on. As long as there is one the tunnel stays in the relay. */
  readonly observers?: readonly Observer[] | undefined;
}

/** An engine takes two detached connections and carries bytes between them until both are done. */
export type TunnelEngine = (client: Conn, target: Conn, options: TunnelOptions) => Tunnel;
