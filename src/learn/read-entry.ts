import { parseAuthority } from "../address/endpoint.ts";
import type { Host } from "../address/host.ts";
import { isRecord } from "../config/plain-data.ts";
import { describeFailure, listFailureDetails } from "../proxy/failure.ts";
import { isPublic } from "../proxy/policy/address-class.ts";
import { isLocalhostName } from "../proxy/resolve/resolve-host.ts";

/** A request that was carried. */
export interface Seen {
  readonly host: Host;
  readonly port: number;
  readonly user: string | undefined;
  /** The upstreams of its route; empty for direct. */
  readonly via: readonly string[];
  /** It went to a special-purpose address. */
  readonly isPrivate: boolean;
  /** Name of the rule that would have refused it. */
  readonly reportedBy: string | undefined;
}

/** Why nothing is learned from an entry: a word of failure, or one of these. */
export type Skipped = "unreadable" | "refused" | "failed" | "unusable_user";

/** Reads an access line, an event or a row of `/tunnels`, which have the same keys. Nothing of it is trusted. */
export function readEntry(entry: unknown): Seen | Skipped {
  if (!isRecord(entry)) return "unreadable";
  const { target, user, detail, dialled, reported_rule: reportedBy } = entry;
  if (detail !== undefined && !wasCarried(entry)) return isRefusal(detail) ? "refused" : "failed";
  if (entry["end"] === "denied") return "refused";
  const read = typeof target === "string" ? parseAuthority(target) : undefined;
  if (read?.ok !== true) return "unreadable";
  // In a rule, a name that begins with @ is a list.
  if (user !== undefined && (typeof user !== "string" || user === "" || user.startsWith("@"))) return "unusable_user";
  const { host, port } = read.endpoint;
  const via = readRoute(entry["route"]);
  return {
    host,
    port,
    user,
    via,
    isPrivate: goesInside(host, via.length === 0 ? dialled : undefined),
    reportedBy: typeof reportedBy === "string" ? reportedBy : undefined,
  };
}

/** A failure of others after bytes had come: the request was let through, and answered. */
function wasCarried({ detail, bytes_down: down }: Readonly<Record<string, unknown>>): boolean {
  const known = listFailureDetails().find((each) => each === detail);
  if (known === undefined || typeof down !== "number" || down === 0) return false;
  const { blame } = describeFailure(known);
  return blame !== "policy" && blame !== "client";
}

function isRefusal(detail: unknown): boolean {
  const known = listFailureDetails().find((each) => each === detail);
  return known !== undefined && describeFailure(known).status < 500 && describeFailure(known).blame !== "destination";
}

/** Names of upstreams; what a PAC file chose comes after a slash, and is no name of the configuration. */
function readRoute(route: unknown): string[] {
  if (typeof route !== "string" || route === "direct") return [];
  return route.split(" > ").map((step) => step.split("/", 1)[0] ?? "");
}

function goesInside(host: Host, dialled: unknown): boolean {
  if (host.kind === "ip") return !isPublic(host.ip);
  if (isLocalhostName(host.text)) return true;
  const address = typeof dialled === "string" ? parseAuthority(dialled) : undefined;
  return address?.ok === true && address.endpoint.host.kind === "ip" && !isPublic(address.endpoint.host.ip);
}
