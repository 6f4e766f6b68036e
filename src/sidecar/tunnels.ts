import type { Hono } from "hono";
import * as z from "zod";
import type { ControlPort } from "./control-port.ts";
import { describe } from "./describe-route.ts";
import type { Guards } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { FLOW_PARAMETERS, flowQuery, readFlowFilter, takeQuery } from "./read-query.ts";
import { mountTunnelDetails } from "./tunnel-details.ts";
import { formatFlow, tunnelsAnswer } from "./tunnel-row.ts";

const endedAnswer = z.object({ ended: z.int().describe("How many.") });

/** Serves `/tunnels`: lists tunnels and forwarded requests in progress, and ends them. */
export function mountTunnels(app: Hono, guards: Guards, port: ControlPort): void {
  const { view } = port;
  app.get(
    "/tunnels",
    describe({ summary: "Lists tunnels and forwarded requests under way.", needs: "read", answer: tunnelsAnswer }),
    guards.read,
    takeQuery(flowQuery),
    (context) => {
      const filter = readFlowFilter(new URL(context.req.url).searchParams);
      return typeof filter === "string"
        ? answerProblem(400, filter)
        : answerJson({ tunnels: port.tunnels(filter).map(formatFlow) });
    },
  );
  app.delete(
    "/tunnels",
    describe({ summary: "Ends tunnels and forwarded requests.", needs: "operate", answer: endedAnswer }),
    guards.operate,
    takeQuery(flowQuery),
    (context) => {
      const filter = readFlowFilter(new URL(context.req.url).searchParams);
      if (typeof filter === "string") return answerProblem(400, filter);
      if (Object.keys(filter).length === 0)
        return answerProblem(400, `Say which tunnels to end: ${FLOW_PARAMETERS.join(", ")}.`);
      return answerJson({ ended: port.kill(filter) });
    },
  );
  if (view !== undefined) mountTunnelDetails(app, guards, (id) => view.tunnel(id));
  app.delete(
    "/tunnels/:id",
    describe({ summary: "Ends a tunnel or a forwarded request.", needs: "operate", problems: [404] }),
    guards.operate,
    takeQuery(),
    (context) => {
      return port.kill({ id: context.req.param("id") }) > 0
        ? context.body(null, 204)
        : answerProblem(404, "There is no tunnel of that id.");
    },
  );
  refuseOtherMethods(app, "/tunnels", "GET, HEAD, DELETE", guards.read);
  refuseOtherMethods(app, "/tunnels/:id", view === undefined ? "DELETE" : "GET, HEAD, DELETE", guards.operate);
}
