import { Hono, type MiddlewareHandler } from "hono";
import type { Secret } from "../proxy/auth/secret.ts";
import { formatTlsFields } from "../proxy/record/access-line.ts";
import type { LiveTunnel } from "../proxy/record/live-table.ts";
import { mountCapture } from "./capture.ts";
import type { ControlPort } from "./control-port.ts";
import { guardHost, guardToken } from "./guard.ts";
import { answerProblem } from "./problem.ts";

export interface SidecarAppOptions {
  /** Bearer token for everything beyond health; without one that is served to nobody. */
  readonly token?: Secret;
  /** The address it is bound to; undefined on a Unix socket, where any Host field is as good as another. */
  readonly boundHost?: string;
  /** Further names that the Host field may have. */
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
  if (options.boundHost !== undefined) {
    app.use(guardHost({ boundHost: options.boundHost, allowedHosts: options.allowedHosts ?? [] }));
  }

  app.get("/healthz", (context) => context.text("ok\n"));
  app.get("/readyz", async (context) => {
    const readiness = await port.readiness();
    return context.json(readiness, readiness.ready ? 200 : 503);
  });
  refuseOtherMethods(app, "/healthz", "GET, HEAD");
  refuseOtherMethods(app, "/readyz", "GET, HEAD");

  const guard = guardToken(options.token);
  app.get("/config", guard, (context) => context.json(port.effectiveConfig()));
  app.get("/metrics", guard, (context) => context.body(port.metricsText(), 200, { "Content-Type": METRICS_TYPE }));
  app.get("/tunnels", guard, (context) => context.json({ tunnels: port.tunnels().map(formatTunnel) }));
  app.delete("/tunnels/:id", guard, (context) =>
    port.kill(context.req.param("id")) ? context.body(null, 204) : answerProblem(404, "There is no tunnel of that id."),
  );
  refuseOtherMethods(app, "/config", "GET, HEAD", guard);
  refuseOtherMethods(app, "/metrics", "GET, HEAD", guard);
  refuseOtherMethods(app, "/tunnels", "GET, HEAD", guard);
  refuseOtherMethods(app, "/tunnels/:id", "DELETE", guard);
  if (port.captures !== undefined) {
    mountCapture(app, guard, port.captures);
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

function refuseOtherMethods(app: Hono, path: string, allow: string, guard?: MiddlewareHandler): void {
  if (guard !== undefined) app.all(path, guard);
  app.all(path, () => answerProblem(405, `This path knows only ${allow}.`, { Allow: allow }));
}

/** The keys of the access line, so that one query fits both. */
function formatTunnel(tunnel: LiveTunnel): Record<string, unknown> {
  return {
    id: tunnel.id,
    listener: tunnel.listener,
    client: tunnel.client,
    user: tunnel.user,
    protocol: tunnel.protocol,
    target: tunnel.target,
    dialled: tunnel.dialled,
    rule: tunnel.rule,
    route: tunnel.route,
    inside: tunnel.inside,
    tls: tunnel.tls && formatTlsFields(tunnel.tls),
    started_at: tunnel.startedAt,
    age_ms: tunnel.ageMs,
    bytes_up: tunnel.bytesUp,
    bytes_down: tunnel.bytesDown,
  };
}
