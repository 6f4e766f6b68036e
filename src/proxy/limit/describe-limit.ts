import type { Ip } from "../../address/ip.ts";
import type { Failure } from "../failure.ts";

/** `Retry-After` for a client that met a limit on connections: nobody knows when one ends. */
const RETRY_AFTER_SECONDS = 5;

/** The note of a failure when the limit on everybody was met. */
export const IN_ALL = "in all";

/** The limits on connections: the paths of their settings. */
export type ConnectionLimit = "connections" | "perClient.connections" | "perUser.connections" | "perTarget.connections";

/** The failure of a client for which a limit on connections leaves no room. */
export function refuseFor(limit: ConnectionLimit, note: string): Failure {
  return { detail: "too_many_connections", limit, note, retryAfterSeconds: RETRY_AFTER_SECONDS };
}

/** Names the client that met its limit: an address, or a network that counts as one client. */
export function describeClient({ text }: Ip, key: string): string {
  return key === text ? "from this address" : `from ${key}, which counts as one client`;
}
