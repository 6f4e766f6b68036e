import { Hono, type MiddlewareHandler } from "hono";
import * as z from "zod";
import { mountApprovals } from "./approvals.ts";
import { mountCapture } from "./capture.ts";
import { mountCertificates } from "./certificates.ts";
import type { ControlPort, LiveView } from "./control-port.ts";
import { mountDrain } from "./drain.ts";
import { mountEvents } from "./events.ts";
import { mountExplain } from "./explain.ts";
import { createGuards, guardHost, type Guards, type SidecarToken } from "./guard.ts";
import { mountMetrics } from "./metrics.ts";
import { mountPage } from "./page/page.ts";
import { mountProxyPac } from "./proxy-pac.ts";
import { answerJson, answerProblem, refuseOtherMethods } from "./problem.ts";
import { mountHandover } from "./handover.ts";
import { anyValue, describe } from "./describe-route.ts";
import { mountOpenApi } from "./openapi.ts";
import { takeQuery } from "./read-query.ts";
import { mountLive } from "./live.ts";
import { mountReload } from "./reload.ts";
import { mountSeries } from "./series.ts";
import { mountStatus } from "./status.ts";
import { mountToken } from "./token.ts";
import { TokenThrottle } from "./token-throttle.ts";
import { mountTunnels } from "./tunnels.ts";
import { mountUsage } from "./usage.ts";
import { mountUpstreams } from "./upstreams.ts";

export interface SidecarAppOptions {
  /** Bearer tokens for everything but health; without one the rest is refused. */
  readonly tokens?: readonly SidecarToken[];
  /** Names that the Host field may have beside addresses and `localhost`; undefined on a Unix socket, where any will do. */
  readonly allowedHosts?: readonly string[];
  /** Outlives the app where a configuration follows another one. */
  readonly throttle?: TokenThrottle;
  /** Of the program, for `/openapi.json`. */
  readonly version?: string;
  /** Receives errors of the sidecar itself. */
  readonly reportBug?: (error: Error) => void;
}

/** Serves the state of the proxy over HTTP. Its actions end tunnels and captures, disable members of pools, drain the proxy, reload the configuration, and hand over to another process. */
export function createSidecarApp(port: ControlPort, options: SidecarAppOptions = {}): Hono {
  const { tokens = [] } = options;
  const app = new Hono();
  app.use(harden);

  const plain = takeQuery();
  // By its name: the runtime adds the type of a text only where it serves the answer itself.
  const text = { "Content-Type": "text/plain; charset=utf-8" };
  app.get("/healthz", describe({ summary: "Says that the process runs.", answer: "text/plain" }), plain, (context) =>
    context.body("ok\n", 200, text),
  );
  app.get(
    "/readyz",
    describe({
      summary: "Says whether new connections are served.",
      answer: readyAnswer,
      others: { 503: readyAnswer },
    }),
    plain,
    async () => {
      const readiness = await port.readiness();
      return answerJson(readiness, readiness.ready ? 200 : 503);
    },
  );
  refuseOtherMethods(app, "/healthz", "GET, HEAD");
  refuseOtherMethods(app, "/readyz", "GET, HEAD");

  // Health reveals nothing, and health checks often use another name.
  if (options.allowedHosts !== undefined) app.use(guardHost(options.allowedHosts));
  mountPage(app);
  const { throttle = new TokenThrottle(), allowedHosts: names = [] } = options;
  const guards = createGuards(tokens, { throttle, names });
  app.get(
    "/config",
    describe({ summary: "Shows the configuration in effect.", needs: "read", answer: z.record(z.string(), anyValue) }),
    guards.read,
    plain,
    () => answerJson(port.effectiveConfig()),
  );
  mountToken(app, guards.holder);
  mountMetrics(app, guards, (form) => port.metricsText(form));
  if (port.proxyPac !== undefined) mountProxyPac(app, port.proxyPac);
  mountTunnels(app, guards, port);
  if (port.upstreams !== undefined) mountUpstreams(app, guards, port.upstreams);
  if (port.explain !== undefined) mountExplain(app, guards, port.explain);
  if (port.usage !== undefined) mountUsage(app, guards, port.usage);
  if (port.events !== undefined) mountEvents(app, guards, port.events);
  if (port.approvals !== undefined) mountApprovals(app, guards, guards.holder, port.approvals);
  if (port.view !== undefined) mountView(app, guards, port.view);
  if (port.reload !== undefined) mountReload(app, guards, port.reload);
  if (port.handOver !== undefined) mountHandover(app, guards, port.handOver);
  refuseOtherMethods(app, "/config", "GET, HEAD", guards.read);
  if (port.captures !== undefined) {
    const hasTunnel = (id: string) => port.tunnels({ id }).some(({ kind }) => kind === "tunnel");
    mountCapture(app, guards, port.captures, hasTunnel);
    refuseOtherMethods(app, "/capture", "GET, HEAD", guards.capture);
    refuseOtherMethods(app, "/capture/:id", "DELETE", guards.capture);
  }
  if (port.drain !== undefined) mountDrain(app, guards, guards.successor, port.drain);

  mountOpenApi(app, guards, options.version ?? "0");

  app.notFound(() => answerProblem(404, "There is nothing at this path."));
  app.onError((error) => {
    options.reportBug?.(error);
    return answerProblem(500, "The sidecar made a mistake.");
  });
  return app;
}

const readyAnswer = z.object({
  ready: z.boolean(),
  reason: z.enum(["starting", "draining", "no_way_out"]).optional(),
  warning: z.string().optional().describe("What an operator should look at."),
});

/** Serves what the page and the terminal show. */
function mountView(app: Hono, guards: Guards, view: LiveView): void {
  mountStatus(app, guards, () => view.status());
  mountSeries(app, guards, (span) => view.series(span));
  mountCertificates(app, guards, () => view.certificates());
  mountLive(app, guards, view.live);
}

/** Forbids caching, content sniffing and embedding. The page says itself what it may do. */
const harden: MiddlewareHandler = async (context, next) => {
  await next();
  context.header("X-Content-Type-Options", "nosniff");
  if (context.res.headers.has("Content-Security-Policy")) return;
  context.header("Cache-Control", "no-store");
  context.header("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'");
};
