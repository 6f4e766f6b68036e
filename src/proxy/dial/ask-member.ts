import type { Endpoint } from "../../address/endpoint.ts";
import { NO_PARAMETERS } from "../../protocol/user-parameters.ts";
import { type Outcome, fail, succeed } from "../failure.ts";
import { blame, callHook, type HookFault } from "../hook/call-hook.ts";
import type { MemberFacts } from "../route/pool-plan.ts";
import type { Member } from "../upstream/member.ts";
import type { Pool, PoolWish } from "../upstream/pool.ts";
import type { DialRequester, DialServices } from "./dial-context.ts";

/** The longest time for an answer where the snapshot says nothing. */
const DEFAULT_MS = 5000;

/** Asks the function of a pool for a member; undefined when there is no function, or it has no wish. */
export async function askForMember(
  pool: Pool,
  wish: PoolWish,
  { requester, target }: { readonly requester: DialRequester; readonly target: Endpoint },
  services: Pick<DialServices, "reportHook">,
): Promise<Outcome<Member | undefined>> {
  const { balance, name } = pool.plan;
  if (typeof balance !== "function") return succeed(undefined);
  const query = {
    pool: name,
    client: requester.client.text,
    user: requester.user,
    parameters: requester.parameters ?? NO_PARAMETERS,
    host: target.host.text,
    port: target.port,
    members: pool.members.map((member) => describeFor(pool, member, wish)),
  };
  const asked = await callHook(() => balance(query), requester.runtime.timeouts.hookMs ?? DEFAULT_MS);
  const distrust = (fault: HookFault): { ok: false; failure: ReturnType<typeof fail>["failure"] } => {
    const hook = `balance function of pool ${name}`;
    services.reportHook?.({ hook, fault });
    return fail("hook_failed", { note: `${hook} ${fault.why}` });
  };
  if (!asked.ok) return distrust(asked.fault);
  if (asked.answer === undefined) return succeed(undefined);
  const member = typeof asked.answer === "string" ? pool.find(asked.answer) : undefined;
  return member === undefined ? distrust(blame("answered with no member").fault) : succeed(member);
}

function describeFor(pool: Pool, member: Member, wish: PoolWish): MemberFacts {
  const { plan, active, latency } = member;
  return {
    name: plan.name,
    available: pool.isAvailable(member, wish),
    health: pool.stateOf(member, pool.now()),
    backup: plan.backup,
    weight: plan.weight,
    connections: active,
    latencyMs: latency.average,
  };
}
