import type { Host } from "../../address/host.ts";
import type { RequestRecord } from "./request-record.ts";

/** Which tunnels are meant. What is absent does not matter; nothing at all means every tunnel. */
export interface CaptureFilter {
  /** The host that the client asked for; or, with `below`, every name below it. */
  readonly host?: Host;
  readonly below?: boolean;
  readonly port?: number;
  readonly user?: string;
  /** The id of the connection. */
  readonly id?: string;
}

/** What of a record is looked at. */
type FilteredSession = Pick<RequestRecord, "id" | "user" | "target">;

/** Whether a tunnel is one of those that `filter` means. */
export function matchesCapture(filter: CaptureFilter, session: FilteredSession): boolean {
  // The id is written when it is asked for.
  if (filter.id !== undefined && filter.id !== session.id) return false;
  const { user, target } = session;
  if (filter.user !== undefined && filter.user !== user) return false;
  if (filter.port !== undefined && filter.port !== target?.port) return false;
  if (filter.host === undefined) return true;
  if (target === undefined) return false;
  const { text } = target.host;
  return filter.below === true ? text.endsWith(`.${filter.host.text}`) : text === filter.host.text;
}
