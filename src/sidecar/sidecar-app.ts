import { Hono, type MiddlewareHandler } from "hono";
import type { Secret } from "../secret.ts";
import { mountCapture } from "./capture.ts";
import type { ControlPort } from "./control-port.ts";
import { guardHost, guardToken } from "./guard.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { findQueryFault } from "./read-query.ts";
import { mountTunnels } from "./tunnels.ts";

export interface SidecarAppOptions {
  /** Bearer token for everything beyond health; without one that is served to nobody. */
  readonly token?: Secret;
  /** Names that the Host field may have beside addresses and `localhost`; undefined on a Unix socket, where any will do. */
  readonly allowedHosts?: readonly string[];
  /** Told of mistakes in the sidecar itself. */
  readonly reportBug?: (error: Error) => void;
}

/** Content type of the Prometheus text format. */
const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

/** Shows an operator how the proxy is doing, over HTTP, and changes nothing but to end a tunnel. */
export function createSidecarApp(port: ControlPort, options: SidecarAppOptions = {}): Hono {
  const app = new Hono();
  app.use(harden);

  const health = refuseQueries([]);
  app.get("/healthz", health, (context) => context.text("ok\n"));
  app.get("/readyz", health, async () => {
    const readiness = await port.readiness();
    return answerJson(readiness, readiness.ready ? 200 : 503);
  });
  refuseOtherMethods(app, "/healthz", "GET, HEAD");
  refuseOtherMethods(app, "/readyz", "GET, HEAD");

  // Health tells nobody anything, and who asks for it seldom knows our name.
  if (options.allowedHosts !== undefined) app.use(guardHost(options.allowedHosts));
  const guard = guardToken(options.token);
  const plain = refuseQueries([]);
  app.get("/config", guard, plain, () => answerJson(port.effectiveConfig()));
  app.get("/metrics", guard, plain, (context) =>
    context.body(port.metricsText(), 200, { "Content-Type": METRICS_TYPE }),
  );
  mountTunnels(app, guard, port);
  refuseOtherMethods(app, "/config", "GET, HEAD", guard);
  refuseOtherMethods(app, "/metrics", "GET, HEAD", guard);
  if (port.captures !== undefined) {
    const hasTunnel = (id: string) => port.tunnels({ id }).some(({ kind }) => kind === "tunnel");
    mountCapture(app, guard, port.captures, hasTunnel);
    refuseOtherMethods(app, "/capture", "GET, HEAD", guard);
    refuseOtherMethods(app, "/capture/:id", "DELETE", guard);
  }

  app.notFound(() => answerProblem(404, "There is nothing at this path."));
  app.onError((error) => {
    options.reportBug?.(error);
    return answerProblem(500, "The sidecar made a mistake.");
  });
  return app;
}

/** Nothing here is to be kept by a cache, or taken for another type, or embedded. */
const harden: MiddlewareHandler = async (context, next) => {
  await next();
  context.header("Cache-Control", "no-store");
  context.header("X-Content-Type-Options", "nosniff");
  context.header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
};

/** Whoever misspells a parameter shall not take the answer for what was asked. */
function refuseQueries(known: readonly string[]): MiddlewareHandler {
  return async (context, next) => {
    const fault = findQueryFault(new URL(context.req.url).searchParams, known);
    return fault === undefined ? next() : answerProblem(400, fault);
  };
}
