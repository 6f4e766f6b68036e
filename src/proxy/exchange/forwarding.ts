import type { Failure } from "../failure.ts";
import type { RequestRecord } from "../record/request-record.ts";
import { createTraffic, type Traffic } from "../flow/flow.ts";
import { BoundOrigins } from "./bound-origins.ts";
import { OwnLines } from "./own-lines.ts";
import { OriginPool } from "./origin-pool.ts";
import { ObjectNumbers } from "./origin-route.ts";
import { Scratch } from "./scratch.ts";

/** A forwarded request as it is now: bytes that the next hop took, and that the client took. */
export interface RequestUnderWay {
  readonly record: RequestRecord;
  readonly up: number;
  readonly down: number;
  /** The bucket that one of its directions waits for. */
  readonly waitsFor?: number | undefined;
}

/** Something under way that can be ended from outside. */
export interface Endable {
  abort(failure: Failure): void;
  /** What is under way now; undefined between two requests. */
  look(): RequestUnderWay | undefined;
  /** The limits on bandwidth have changed. */
  followLimits(): void;
}

/** A client's connection that was taken away between two requests. */
export interface TakenClient {
  /** Belongs to whoever took it. */
  readonly fd: number;
  /** Of its last request. */
  readonly record: RequestRecord;
  /** The user for whom it holds a slot. */
  readonly user: string | undefined;
  /** Monotonic milliseconds since when it is idle, or `ACTIVE`. */
  readonly lastActivity: number;
}

/** A client between two requests. */
export interface IdleClient {
  /** Ends its wait, and its connection. */
  expire(): void;
  /** Takes its connection away, for another process. Undefined when it cannot go. */
  take(): TakenClient | undefined;
}

/** What all forwarded requests of a daemon share, and how they end with it. */
export class Forwarding {
  readonly origins = new OriginPool();
  /** Those that only one client may use. */
  readonly bound = new BoundOrigins();
  readonly scratch = new Scratch();
  readonly lines = new OwnLines();
  /** For the keys of connections. */
  readonly numbers = new ObjectNumbers();
  /** Exchanges under way. */
  readonly exchanges = new Set<Endable>();
  /** Clients between two requests. */
  readonly waiting = new Set<IdleClient>();
  /** Is offered every client that waits for its next request, while clients move to another process. */
  offer: ((client: IdleClient) => void) | undefined = undefined;

  readonly traffic: Traffic;

  constructor(traffic = createTraffic()) {
    this.traffic = traffic;
  }

  /** Takes bytes back that were counted for a try of a request, of which no record will tell. */
  uncount({ up, down }: { readonly up: number; readonly down: number }): void {
    this.traffic.up.bytes -= up;
    this.traffic.down.bytes -= down;
  }

  /** Ends what is idle, on both sides, or leaves clients their next request. Exchanges go on to their end. */
  windDown(clients: "end" | "serve" = "end"): void {
    this.origins.close();
    // What is bound to a client goes with it.
    if (clients === "serve") return;
    this.bound.close();
    for (const client of this.waiting) client.expire();
  }

  /** Takes back `windDown`: connections to origins are kept again. */
  reopen(): void {
    this.origins.reopen();
    this.bound.reopen();
  }

  /** Ends everything at once. */
  abort(): void {
    this.windDown();
    for (const exchange of this.exchanges) exchange.abort({ detail: "draining" });
  }
}
