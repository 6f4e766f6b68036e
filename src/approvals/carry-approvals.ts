import { formatEndpoint, parseAuthority } from "../address/endpoint.ts";
import type { CarriedState } from "../handover/carried-state.ts";
import { readListOf } from "../protocol/handover/json-value.ts";
import type { ApprovalGrants, Grant } from "./approval-grants.ts";

/**
 * The answers that hold for a time, for the next process. Those for one connection
 * are left out: both processes serve for a while, and it could be used twice. What
 * is asked is not carried: who waits is refused, and asks again.
 */
export function carryApprovals(grants: ApprovalGrants): CarriedState {
  return {
    name: "approvals",
    save: () =>
      grants
        .list()
        .filter(({ once }) => !once)
        .map(({ id, key, user = null, client, target, rule, allow, by, until }) => [
          id,
          key,
          user,
          client,
          formatEndpoint(target),
          rule,
          allow,
          by,
          until,
        ]),
    restore(value, clockShiftMs) {
      const rows = readListOf(value, readRow);
      if (rows === undefined) return false;
      for (const row of rows) {
        const grant = { ...row, until: row.until + clockShiftMs };
        // This process may have another answer already.
        if (!grants.has(grant.key)) grants.add(grant);
      }
      return true;
    },
  };
}

function readRow(item: unknown): Grant | undefined {
  if (!Array.isArray(item)) return undefined;
  const [id, key, user, client, written, rule, allow, by, until] = item as readonly unknown[];
  const target = typeof written === "string" ? parseAuthority(written) : undefined;
  if (typeof id !== "string" || typeof key !== "string" || typeof client !== "string" || target?.ok !== true)
    return undefined;
  if ((user !== null && typeof user !== "string") || typeof rule !== "string" || typeof by !== "string")
    return undefined;
  if (typeof allow !== "boolean" || typeof until !== "number" || !Number.isFinite(until)) return undefined;
  return { id, key, user: user ?? undefined, client, target: target.endpoint, rule, allow, once: false, by, until };
}
