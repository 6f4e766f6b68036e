import { authorize } from "../proxy/decide/authorize.ts";
import type { AuthorizeServices } from "../proxy/decide/inquiry.ts";
import { describeFailure } from "../proxy/failure.ts";
import type { LiveTable } from "../proxy/record/live-table.ts";
import type { RequestRecord } from "../proxy/record/request-record.ts";
import type { Runtime } from "../proxy/runtime.ts";

/**
 * Ends the tunnels that a snapshot would deny to their clients now, and gives
 * their number. Judges each as a new request for the same target, some at a time.
 * A tunnel goes on when nothing was decided: its name does not resolve, a function
 * failed, a list has no content yet.
 */
export async function endDenied(live: LiveTable, runtime: Runtime, services: AuthorizeServices): Promise<number> {
  const tunnels: Parameters<Parameters<LiveTable["visit"]>[0]>[] = [];
  live.visit((record, tunnel) => tunnels.push([record, tunnel]));
  let ended = 0;
  const left = tunnels.values();
  const judge = async (): Promise<void> => {
    for (const [record, tunnel] of left) {
      if (record.runtime === runtime || record.isWritten || !(await isDenied(record, runtime, services))) continue;
      tunnel.kill("denied");
      ended += 1;
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, judge));
  return ended;
}

/** Tunnels that are judged at the same time: functions, webhooks and DNS may take long. New requests ask them as well. */
const AT_ONCE = 32;

async function isDenied(record: RequestRecord, runtime: Runtime, services: AuthorizeServices): Promise<boolean> {
  const { client, user, parameters, scheme, target } = record;
  if (runtime.clients?.has(client) === false) return true;
  if (target === undefined) return false;
  const authorized = await authorize({ client, user, parameters, scheme, runtime }, target, services);
  if (authorized.ok) {
    authorized.value.lookups?.release();
    return false;
  }
  const { detail } = authorized.failure;
  return !undecided.has(detail) && describeFailure(detail).status === 403;
}

const undecided: ReadonlySet<string> = new Set(["hook_failed", "list_unavailable"]);
