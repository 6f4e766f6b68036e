import type { Failure } from "../failure.ts";
import type { Session } from "../session.ts";
import type { BodyReader } from "./body-reader.ts";
import type { Origin } from "./origin-pool.ts";

/** A forwarded request that is under way already, when somebody else goes on with it. Both connections are detached. */
export interface Begun {
  /** Its account, in the stage `forward`. */
  readonly session: Session;
  /** Its head as it came, all of it. It has no body. */
  readonly head: Uint8Array;
  readonly origin: Origin;
  /** Bytes of the head for the origin that it took, and those that it did not. */
  readonly sent: number;
  readonly unsent: Uint8Array;
  /** What there is of the response, once its head was written. */
  readonly answer: BegunAnswer | undefined;
  /** Monotonic milliseconds at which something moved last. */
  readonly since: number;
  /** What happened last, and nobody has acted upon. */
  readonly event: ExchangeEvent | undefined;
}

/** A response after which the client's connection can be kept: bytes that the client took, and those that it did not. */
export interface BegunAnswer {
  readonly status: number;
  readonly sent: number;
  readonly unsent: Uint8Array;
  /** Finds the end of the body; undefined when that was read. */
  readonly body: BodyReader | undefined;
  readonly keepsOrigin: boolean;
}

/** What can happen to an exchange, besides bytes; a failure is the reason for which it is ended from outside. */
export type ExchangeEvent =
  "client_ended" | "client_gone" | "origin_ended" | "origin_closed" | "origin_reset" | "expired" | Failure;
