import type { Hono } from "hono";
import { bound, formatTlsFields } from "../proxy/record/access-line.ts";
import type { Flow } from "../proxy/record/live-table.ts";
import type { ControlPort } from "./control-port.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { FLOW_PARAMETERS, readFlowFilter, refuseQueries } from "./read-query.ts";

/** Serves `/tunnels`: lists tunnels and forwarded requests in progress, and ends them. */
export function mountTunnels(app: Hono, guards: Guards, port: ControlPort): void {
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
  app.delete("/tunnels/:id", guards.operate, refuseQueries([]), (context) => {
    return port.kill({ id: context.req.param("id") }) > 0
      ? context.body(null, 204)
      : answerProblem(404, "There is no tunnel of that id.");
  });
  refuseOtherMethods(app, "/tunnels", "GET, HEAD, DELETE", guards.read);
  refuseOtherMethods(app, "/tunnels/:id", "DELETE", guards.operate);
}

/** Uses the keys of the access line, so that one query works for both. */
function formatFlow(flow: Flow): Record<string, unknown> {
  return {
    kind: flow.kind,
    id: flow.id,
    listener: flow.listener,
    client: flow.client,
    user: bound(flow.user),
    parameters: flow.parameters,
    protocol: flow.protocol,
    method: bound(flow.method),
    scheme: flow.scheme,
    target: bound(flow.target),
    dialled: flow.dialled,
    rule: flow.rule,
    route: flow.route,
    inside: flow.inside,
    tls: flow.tls && formatTlsFields(flow.tls),
    started_at: flow.startedAt,
    age_ms: flow.ageMs,
    limit: flow.limit,
    bytes_up: flow.bytesUp,
    bytes_down: flow.bytesDown,
  };
}
