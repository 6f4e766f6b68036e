import type { Session } from "../session.ts";
import type { TunnelTap } from "../tunnel/tunnel-tap.ts";
import { FirstBytesTap, type FirstBytesTapOptions } from "./first-bytes-tap.ts";
import type { InsideFacts } from "./inside-facts.ts";
import { PassiveTap } from "./passive-tap.ts";

/**
 * Makes the tap for a client's tunnel: when the settings want to know, or the
 * rule that let it through demands something of what is said inside. What it
 * sees, and why it refuses, goes into the session.
 */
export function inspectTunnel(session: Session): TunnelTap | undefined {
  const { decision, target, runtime } = session;
  const demand = decision?.verdict === "allow" ? decision.inside : undefined;
  if (target === undefined || (demand === undefined && !runtime.inspect.tls)) return undefined;
  const facts: InsideFacts = { protocol: undefined, tls: undefined };
  session.inside = facts;
  const options: FirstBytesTapOptions = {
    facts,
    target,
    ...(demand !== undefined && { demand }),
    deadlineMs: runtime.timeouts.handshakeMs,
    ja3: runtime.inspect.ja3,
    onDenied: (failure) => {
      session.failure = failure;
    },
  };
  return demand === undefined && !runtime.inspect.ja3 ? new PassiveTap(options) : new FirstBytesTap(options);
}
