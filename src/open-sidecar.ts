import { hostname } from "node:os";
import type { CompiledConfig } from "./config/compile.ts";
import { quoteValue } from "./config/problem.ts";
import { parseDuration } from "./config/quantity.ts";
import type { Drain } from "./drain.ts";
import type { Gate } from "./gate/gate.ts";
import { serveHttp } from "./net/http/serve-http.ts";
import type { Listen } from "./net/runtime/listen.ts";
import { isDefaultRouteOpen } from "./proxy/dial/upstream-probe.ts";
import type { ControlPort, DrainControl, Readiness } from "./sidecar/control-port.ts";
import { createSidecarApp } from "./sidecar/sidecar-app.ts";
import { type SidecarStart, startSidecar } from "./sidecar/serve.ts";

/** Starts the sidecar of the configuration; undefined when there is none. */
export function openSidecar(
  plan: CompiledConfig["sidecar"],
  port: ControlPort,
  listen: Listen,
  reportBug: (error: unknown) => void,
): Promise<SidecarStart> | undefined {
  if (plan === undefined) return undefined;
  const { at, token, allowedHosts } = plan;
  const app = createSidecarApp(port, {
    reportBug,
    ...(token && { token }),
    ...(at.kind === "tcp" && { allowedHosts: [hostname(), ...allowedHosts] }),
  });
  return startSidecar({
    app,
    address: at.kind === "tcp" ? at : { unix: at.path },
    ...(token && { token }),
    serveHttp: (options) => serveHttp({ ...options, listen }),
    reportBug,
  });
}

/** What the sidecar may ask of the tunnels and the captures. */
export function controlTunnels({ live, captures }: Gate): Pick<ControlPort, "tunnels" | "kill" | "captures"> {
  return {
    tunnels: (filter) => live.list(performance.now(), filter),
    kill: (filter) => live.kill(filter),
    captures: {
      start: (wanted) => captures.start(wanted, (visit) => live.visit(visit)),
      stop: (id) => captures.stop(id),
    },
  };
}

/** What the sidecar may ask of the drain. */
export function controlDrain(drain: Drain, yieldAddress: () => void): DrainControl {
  return {
    begin(duration) {
      const parsed = duration === undefined ? undefined : parseDuration(duration);
      if (parsed?.ok === false) return { ok: false, reason: `${quoteValue(duration)} ${parsed.reason}.` };
      return { ok: true, state: drain.begin("POST /drain", parsed?.value) };
    },
    cancel: () => drain.cancel("DELETE /drain"),
    yieldAddress() {
      if (drain.phase !== "draining") return false;
      yieldAddress();
      return true;
    },
  };
}

/** Ready to serve a new connection: bound, not about to leave, and with an upstream that answers where there is one. */
export async function readReadiness(gate: Gate, drain: Pick<Drain, "phase">): Promise<Readiness> {
  const isLeaving = (): boolean => drain.phase !== "serving";
  if (gate.listeners === undefined && !isLeaving()) return { ready: false, reason: "starting" };
  const open = isLeaving() || (await isDefaultRouteOpen(gate.runtime.current, gate));
  if (isLeaving()) return { ready: false, reason: "draining" };
  return open ? { ready: true } : { ready: false, reason: "no_way_out" };
}
