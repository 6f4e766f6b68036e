import type { Hono, MiddlewareHandler } from "hono";
import type { DrainControl, DrainState } from "./control-port.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { refuseQueries } from "./read-query.ts";

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
  app.post("/drain", guard, refuseQueries(["for"]), (context) => {
    const begun = control.begin(context.req.query("for"));
    return begun.ok ? answerJson(formatState(begun.state), 202) : answerProblem(400, begun.reason);
  });
  app.delete("/drain", guard, refuseQueries([]), (context) => {
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
