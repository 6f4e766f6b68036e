import type { Session } from "../session.ts";

/** Milliseconds that are left of the time from accept to the complete request; at least one, so that a timer can tell. */
export function remainingHandshakeMs(session: Session): number {
  const spent = performance.now() - session.acceptedAt;
  return Math.max(1, session.runtime.timeouts.handshakeMs - spent);
}
