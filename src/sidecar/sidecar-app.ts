import { Hono, type MiddlewareHandler } from "hono";
import type { Secret } from "../secret.ts";
import { mountCapture } from "./capture.ts";
import type { ControlPort } from "./control-port.ts";
import { mountDrain } from "./drain.ts";
import { mountEvents } from "./events.ts";
import { guardHost, guardToken } from "./guard.ts";
import { mountMetrics } from "./metrics.ts";
import { mountProxyPac } from "./proxy-pac.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { mountHandover } from "./handover.ts";
import { refuseQueries } from "./read-query.ts";
import { mountReload } from "./reload.ts";
import { mountTunnels } from "./tunnels.ts";
import { mountUsage } from "./usage.ts";
import { mountUpstreams } from "./upstreams.ts";

export interface SidecarAppOptions {
  /** Bearer token for everything but health; without one the rest is refused. */
  readonly token?: Secret;
  /** Names that the Host field may have beside addresses and `localhost`; undefined on a Unix socket, where any will do. */
  readonly allowedHosts?: readonly string[];
  /** Receives errors of the sidecar itself. */
  readonly reportBug?: (error: Error) => void;
}

/** Serves the state of the proxy over HTTP. Its actions end tunnels and captures, disable members of pools, drain the proxy, reload the configuration, and hand over to another process. */
export function createSidecarApp(port: ControlPort, options: SidecarAppOptions = {}): Hono {
  const app = new Hono();
  app.use(harden);

  const plain = refuseQueries([]);
  app.get("/healthz", plain, (context) => context.text("ok\n"));
  app.get("/readyz", plain, async () => {
    const readiness = await port.readiness();
    return answerJson(readiness, readiness.ready ? 200 : 503);
  });
  refuseOtherMethods(app, "/healthz", "GET, HEAD");
  refuseOtherMethods(app, "/readyz", "GET, HEAD");

  // Health reveals nothing, and health checks often use another name.
  if (options.allowedHosts !== undefined) app.use(guardHost(options.allowedHosts));
  const guard = guardToken(options.token);
  app.get("/config", guard, plain, () => answerJson(port.effectiveConfig()));
  mountMetrics(app, guard, (form) => port.metricsText(form));
  if (port.proxyPac !== undefined) mountProxyPac(app, plain, port.proxyPac);
  mountTunnels(app, guard, port);
  if (port.upstreams !== undefined) mountUpstreams(app, guard, port.upstreams);
  if (port.usage !== undefined) mountUsage(app, guard, port.usage);
  if (port.events !== undefined) mountEvents(app, guard, port.events);
  if (port.reload !== undefined) mountReload(app, guard, port.reload);
  if (port.handOver !== undefined) mountHandover(app, guard, port.handOver);
  refuseOtherMethods(app, "/config", "GET, HEAD", guard);
  if (port.captures !== undefined) {
    const hasTunnel = (id: string) => port.tunnels({ id }).some(({ kind }) => kind === "tunnel");
    mountCapture(app, guard, port.captures, hasTunnel);
    refuseOtherMethods(app, "/capture", "GET, HEAD", guard);
    refuseOtherMethods(app, "/capture/:id", "DELETE", guard);
  }
  if (port.drain !== undefined) mountDrain(app, guard, options.token === undefined ? letPass : guard, port.drain);

  app.notFound(() => answerProblem(404, "There is nothing at this path."));
  app.onError((error) => {
    options.reportBug?.(error);
    return answerProblem(500, "The sidecar made a mistake.");
  });
  return app;
}

/** Without a token a sidecar is on loopback or a Unix socket, and shows nothing but health. */
const letPass: MiddlewareHandler = (_, next) => next();

/** Forbids caching, content sniffing and embedding. */
const harden: MiddlewareHandler = async (context, next) => {
  await next();
  context.header("Cache-Control", "no-store");
  context.header("X-Content-Type-Options", "nosniff");
  context.header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
};
