import type { Hono } from "hono";
import type { ControlPort } from "./control-port.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { FLOW_PARAMETERS, readFlowFilter, refuseQueries } from "./read-query.ts";
import { mountTunnelDetails } from "./tunnel-details.ts";
import { formatFlow } from "./tunnel-row.ts";

/** Serves `/tunnels`: lists tunnels and forwarded requests in progress, and ends them. */
export function mountTunnels(app: Hono, guards: Guards, port: ControlPort): void {
  const { view } = port;
  app.get("/tunnels", guards.read, refuseQueries(FLOW_PARAMETERS), (context) => {
    const filter = readFlowFilter(new URL(context.req.url).searchParams);
    return typeof filter === "string"
      ? answerProblem(400, filter)
      : answerJson({ tunnels: port.tunnels(filter).map(formatFlow) });
  });
  app.delete("/tunnels", guards.operate, refuseQueries(FLOW_PARAMETERS), (context) => {
    const filter = readFlowFilter(new URL(context.req.url).searchParams);
    if (typeof filter === "string") return answerProblem(400, filter);
    if (Object.keys(filter).length === 0)
      return answerProblem(400, `Say which tunnels to end: ${FLOW_PARAMETERS.join(", ")}.`);
    return answerJson({ ended: port.kill(filter) });
  });
  if (view !== undefined) mountTunnelDetails(app, guards, (id) => view.tunnel(id));
  app.delete("/tunnels/:id", guards.operate, refuseQueries([]), (context) => {
    return port.kill({ id: context.req.param("id") }) > 0
      ? context.body(null, 204)
      : answerProblem(404, "There is no tunnel of that id.");
  });
  refuseOtherMethods(app, "/tunnels", "GET, HEAD, DELETE", guards.read);
  refuseOtherMethods(app, "/tunnels/:id", view === undefined ? "DELETE" : "GET, HEAD, DELETE", guards.operate);
}
