import type { Hono } from "hono";
import { parseHostField } from "../address/endpoint.ts";
import { describe } from "./describe-route.ts";
import { answerProblem, refuseOtherMethods } from "./problem.ts";
import { takeQuery } from "./read-query.ts";

/** What browsers and Windows take for a PAC file. */
const PAC_TYPE = "application/x-ns-proxy-autoconfig";

/**
 * Serves `/proxy.pac`. Browsers send no token for it, so it tells nothing but
 * where the listeners are and which hosts are exceptions. `nosniff` and its type
 * keep web pages from loading it as a script, and so from reading it.
 */
export function mountProxyPac(app: Hono, write: (host: string) => string | undefined): void {
  app.get(
    "/proxy.pac",
    describe({ summary: "The PAC file for browsers.", answer: PAC_TYPE, problems: [403, 404] }),
    takeQuery(),
    (context) => {
      const parsed = parseHostField(context.req.header("Host") ?? "", 80);
      if (!parsed.ok) return answerProblem(400, "The Host field is not a host, which the listeners are named after.");
      const file = write(parsed.endpoint.host.text);
      if (file === undefined) return answerProblem(404, "No listener speaks a protocol that browsers know.");
      return context.body(file, 200, { "Content-Type": PAC_TYPE });
    },
  );
  refuseOtherMethods(app, "/proxy.pac", "GET, HEAD");
}
