import type { Hono, MiddlewareHandler } from "hono";
import * as z from "zod";
import type { DrainControl, DrainState } from "./control-port.ts";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

const drainAnswer = z.object({
  phase: z.enum(["serving", "lame_duck", "draining", "ended"]),
  left_ms: z.number().optional().describe("Until the phase ends."),
  connections: z.int(),
  tunnels: z.int(),
  oldest_ms: z.number().optional().describe("Age of the oldest tunnel."),
});
const drainQuery = z.object({
  for: z.string().describe("How long tunnels have, such as `10m`. Default: `timeouts.drain`.").optional(),
});

/**
 * Serves `/drain`: begins to drain, and takes that back. `guardSuccessor` lets
 * through who may have the address of this sidecar.
 */
export function mountDrain(
  app: Hono,
  { operate: guard }: Guards,
  guardSuccessor: MiddlewareHandler,
  control: DrainControl,
): void {
  app.post(
    "/drain",
    describe({ summary: "Drains and ends the proxy.", needs: "operate", answer: drainAnswer, status: 202 }),
    guard,
    takeQuery(drainQuery),
    (context) => {
      const begun = control.begin(context.req.query("for"));
      return begun.ok ? answerJson(formatState(begun.state), 202) : answerProblem(400, begun.reason);
    },
  );
  app.delete(
    "/drain",
    describe({ summary: "Takes a drain back.", needs: "operate", problems: [409] }),
    guard,
    takeQuery(),
    (context) => {
      const cancelled = control.cancel();
      return cancelled.ok ? context.body(null, 204) : answerProblem(409, cancelled.reason);
    },
  );
  app.post(
    "/drain/successor",
    describe({ summary: "Gives the address of the sidecar to a successor.", needs: "operate", problems: [409] }),
    guardSuccessor,
    (context) =>
      control.yieldAddress()
        ? context.body(null, 204)
        : answerProblem(409, "The proxy accepts connections and keeps the address of its sidecar."),
  );
  refuseOtherMethods(app, "/drain", "POST, DELETE", guard);
  refuseOtherMethods(app, "/drain/successor", "POST", guardSuccessor);
}

function formatState({ phase, leftMs, connections, tunnels, oldestMs }: DrainState): z.infer<typeof drainAnswer> {
  return { phase, left_ms: leftMs, connections, tunnels, oldest_ms: oldestMs };
}
