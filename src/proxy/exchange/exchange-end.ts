import type { Failure } from "../failure.ts";

/** How one exchange ended. Both connections are detached then. */
export type ExchangeEnd =
  /** Answered. Whoever is not kept is still to be closed. */
  | {
      readonly kind: "done";
      readonly keepsClient: boolean;
      readonly keepsOrigin: boolean;
      /** The origin's connection is fit for requests of other clients. */
      readonly sharesOrigin: boolean;
      readonly bindsOrigin: boolean;
    }
  /** The 101 was passed on: what is unread on either side is of the new protocol. */
  | { readonly kind: "switched" }
  /** The origin closed before it said anything. `whole`: the request is unread again, and can be told to somebody else. */
  | { readonly kind: "stale"; readonly reset: boolean; readonly whole: boolean }
  /** The upstream wants to know who we are. `whole`: the request is unread again, and can be told once more. */
  | { readonly kind: "challenged"; readonly challenges: readonly string[]; readonly whole: boolean }
  /** Nothing of a response was sent: the client can be told. The origin's connection is closed. */
  | { readonly kind: "failed"; readonly failure: Failure }
  /** A part of a response was sent: nothing can follow it. The origin's connection is closed, the client's is still to be. */
  | { readonly kind: "broken"; readonly failure: Failure };

/** The end of an exchange after which both connections are closed. */
export const NOTHING_KEPT = {
  keepsClient: false,
  keepsOrigin: false,
  sharesOrigin: false,
  bindsOrigin: false,
} as const;
