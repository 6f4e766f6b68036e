import { hostname } from "node:os";
import type { CompiledConfig } from "./config/compile.ts";
import type { Gate } from "./gate/gate.ts";
import { serveHttp } from "./net/http/serve-http.ts";
import type { Listen } from "./net/runtime/listen.ts";
import { isDefaultRouteOpen } from "./proxy/dial/upstream-probe.ts";
import type { ControlPort, Readiness } from "./sidecar/control-port.ts";
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

/** Ready to serve a new connection: bound, not draining, and with an upstream that answers where there is one. */
export async function readReadiness(gate: Gate): Promise<Readiness> {
  if (gate.listeners === undefined && !gate.draining) return { ready: false, reason: "starting" };
  const open = gate.draining || (await isDefaultRouteOpen(gate.runtime.current, gate));
  if (gate.draining) return { ready: false, reason: "draining" };
  return open ? { ready: true } : { ready: false, reason: "no_way_out" };
}
