import type { MemberUse } from "../upstream/member-use.ts";
import type { Reaction } from "../upstream/silence.ts";
import type { Carriage } from "./carriage.ts";
import type { DialServices } from "./dial-context.ts";
import { pingHop } from "./ping-hop.ts";

/** What a member has done that a target behind it may have done, too. `silence`: nothing. `login`: it refused our credentials. */
export type Doing = "silence" | "wrong" | "login";

/**
 * Finds out whether a failure is the member's own, and counts it then. What the
 * request shows can be the target's doing, and a client can choose the target: a
 * ping decides. The use ends no earlier than that. Resolves to whether it was.
 */
export async function suspect(
  use: MemberUse,
  { doing, reason }: { readonly doing: Doing; readonly reason: string },
  { route }: Pick<Carriage, "route">,
  services: DialServices,
): Promise<boolean> {
  const { hop, pool } = use;
  const at = route.hops.findIndex((one) => one === hop);
  if (at < 0 || use.isSuspected) return false;
  use.suspect();
  const { sourceAddress } = route;
  const path = { hops: route.hops.slice(0, at + 1), ...(sourceAddress !== undefined && { sourceAddress }) };
  let reaction: Reaction = { kind: "unknown" };
  try {
    const question = doing === "login" ? doing : "presence";
    reaction = await use.leaf.member.silence.ping(
      question,
      () => pingHop(path, question, services),
      () => pool.now(),
    );
  } finally {
    if (shows(reaction, doing)) use.convict(reason);
    else use.acquit();
  }
  return shows(reaction, doing);
}

/** Whether a reaction shows that it was the member's doing. */
function shows(reaction: Reaction, doing: Doing): boolean {
  switch (reaction.kind) {
    case "silent":
      return true;
    case "wrong":
      return doing !== "silence";
    case "refused":
      return doing === "login";
    default:
      return false;
  }
}
