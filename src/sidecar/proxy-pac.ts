import type { Hono, MiddlewareHandler } from "hono";
import { parseHostField } from "../address/endpoint.ts";
import { answerProblem, refuseOtherMethods } from "./problem.ts";

/** What browsers and Windows take for a PAC file. */
const PAC_TYPE = "application/x-ns-proxy-autoconfig";

/**
 * Serves `/proxy.pac`. Browsers send no token for it, so it tells nothing but
 * where the listeners are and which hosts are exceptions. `nosniff` and its type
 * keep web pages from loading it as a script, and so from reading it.
 */
export function mountProxyPac(
  app: Hono,
  refuseQueries: MiddlewareHandler,
  write: (host: string) => string | undefined,
): void {
  app.get("/proxy.pac", refuseQueries, (context) => {
    const parsed = parseHostField(context.req.header("Host") ?? "", 80);
    if (!parsed.ok) return answerProblem(400, "The Host field is not a host, which the listeners are named after.");
    const file = write(parsed.endpoint.host.text);
    if (file === undefined) return answerProblem(404, "No listener speaks a protocol that browsers know.");
    return context.body(file, 200, { "Content-Type": PAC_TYPE });
  });
  refuseOtherMethods(app, "/proxy.pac", "GET, HEAD");
}
