import type { Hono, MiddlewareHandler } from "hono";
import type { DrainControl, DrainState } from "./control-port.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { findQueryFault } from "./read-query.ts";

/**
 * Serves `/drain`: begins to drain, and takes that back. `guardSuccessor` lets
 * through who may have the address of this sidecar.
 */
export function mountDrain(
  app: Hono,
  guard: MiddlewareHandler,
  guardSuccessor: MiddlewareHandler,
  control: DrainControl,
): void {
  app.post("/drain", guard, (context) => {
    const query = new URL(context.req.url).searchParams;
    const fault = findQueryFault(query, ["for"]);
    if (fault !== undefined) return answerProblem(400, fault);
    const begun = control.begin(query.get("for") ?? undefined);
    return begun.ok ? answerJson(formatState(begun.state), 202) : answerProblem(400, begun.reason);
  });
  app.delete("/drain", guard, (context) => {
    const fault = findQueryFault(new URL(context.req.url).searchParams, []);
    if (fault !== undefined) return answerProblem(400, fault);
    const cancelled = control.cancel();
    return cancelled.ok ? context.body(null, 204) : answerProblem(409, cancelled.reason);
  });
  app.post("/drain/successor", guardSuccessor, (context) =>
    control.yieldAddress()
      ? context.body(null, 204)
      : answerProblem(409, "The proxy accepts connections and keeps the address of its sidecar."),
  );
  refuseOtherMethods(app, "/drain", "POST, DELETE", guard);
  refuseOtherMethods(app, "/drain/successor", "POST", guardSuccessor);
}

function formatState({ phase, leftMs, connections, tunnels, oldestMs }: DrainState): Record<string, unknown> {
  return { phase, left_ms: leftMs, connections, tunnels, oldest_ms: oldestMs };
}
