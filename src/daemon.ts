import { hostname } from "node:os";
import type { CompiledConfig } from "./config/compile.ts";
import { Gate, withinMs } from "./gate/gate.ts";
import { formatListener, type ListenPlan } from "./gate/listeners.ts";
import type { RenewTrust } from "./config/follow-trust.ts";
import type { Checked } from "./config/problem.ts";
import { serveHttp } from "./net/http/serve-http.ts";
import type { Resolver } from "./net/dns/resolver.ts";
import type { LanePool } from "./net/conn/lanes.ts";
import { startLanes } from "./net/splice/lane-pool.ts";
import { SpareDescriptors } from "./net/libc/spare-descriptors.ts";
import type { Reactor } from "./net/epoll/reactor.ts";
import { chooseSockets } from "./net/sockets.ts";
import { UpstreamProbe } from "./proxy/upstream/upstream-probe.ts";
import { HookReporter } from "./proxy/hook/hook-reporter.ts";
import { createListenerTls, type ListenerTls } from "./proxy/accept/listener-tls.ts";
import { AccessLog, type LogSink } from "./proxy/record/access-log.ts";
import { BugReporter } from "./proxy/record/bug-reporter.ts";
import type { Runtime } from "./proxy/runtime.ts";
import { chooseEngine } from "./proxy/flow/engine.ts";
import type { ControlPort, Readiness } from "./sidecar/control-port.ts";
import { writeMetricsText } from "./sidecar/metrics-text.ts";
import { type Sidecar, type SidecarStart, startSidecar } from "./sidecar/serve.ts";
import { createSidecarApp } from "./sidecar/sidecar-app.ts";
import { tidyMemory } from "./tidy-memory.ts";
import { version } from "./version.ts";

export interface DaemonOptions {
  /** Where access lines go. */
  readonly accessSink: LogSink;
  /** Where messages for the operator go, one line each, without line end. */
  readonly tell: (message: string) => void;
  /** Instead of the system's resolver, for tests. */
  readonly resolver?: Resolver;
  /** Instead of an event loop of its own, for several proxies on one thread. It stays open. */
  readonly eventLoop?: Reactor;
}

/** A running proxy. */
export interface Daemon {
  /** Every listener as bound: `host:port`. */
  readonly listeners: readonly { readonly host: string; readonly port: number; readonly text: string }[];
  readonly sidecar: Sidecar | undefined;
  /** One sentence on whether long tunnels are carried by the kernel. */
  readonly splicing: string;
  /** One sentence on what drives connections in clear. */
  readonly driving: string;
  /** The threads that carry long tunnels; undefined where there are none. */
  readonly lanes: LanePool | undefined;
  /** What each listener shows to clients that speak TLS, in the order of the listeners; undefined for a plain one. */
  readonly tls: readonly (ListenerTls | undefined)[];
  /** Tells the operator of an error that nothing caught. */
  reportBug(error: unknown): void;
  /** Puts the text of a changed users file into effect for new connections, or says why it cannot be used. */
  replaceUsers(text: string): Checked<Runtime>;
  /** Puts changed certificates for upstreams and origins into effect for new connections. */
  renewTrust(renew: RenewTrust): void;
  /**
   * Stops accepting, gives connections the time that the configuration allows,
   * ends those that are left, and resolves when nothing is open any more.
   */
  drain(): Promise<void>;
  /** Ends everything at once. */
  stop(): Promise<void>;
}

export type DaemonStart =
  | { readonly ok: true; readonly daemon: Daemon }
  /** Nothing is left open. The message names the setting. */
  | { readonly ok: false; readonly message: string };

/** Composes a compiled configuration into a running proxy: runtime, listeners, sidecar. */
export async function startDaemon(compiled: CompiledConfig, options: DaemonOptions): Promise<DaemonStart> {
  const accessLog = new AccessLog({
    format: compiled.log.access,
    sink: options.accessSink,
    whenLost: (why) =>
      options.tell(`Access lines are being lost: ${why}. "penstock_access_log_dropped_total" counts them.`),
  });
  const doors = openDoors(compiled);
  if (!doors.ok) return doors;
  const sockets = chooseSockets(compiled.sockets, options.eventLoop);
  const { engine, lanes, description } = chooseEngine(
    compiled.splice,
    () => startLanes({ onTrouble: options.tell }),
    sockets.adopt,
  );
  const { secrets } = compiled;
  const hooks = new HookReporter(options.tell, { secrets });
  const bugs = new BugReporter({ tell: options.tell, secrets });
  const descriptors = new SpareDescriptors();
  const gate = new Gate({
    runtime: compiled.runtime,
    sockets,
    tunnel: engine,
    descriptors,
    accessLog,
    application: `Penstock ${version}`,
    ...(options.resolver && { resolver: options.resolver }),
    reportBug: (error, id) => bugs.report(`A mistake of the proxy ended connection ${id}`, error),
    reportHook: (report) => hooks.report(report),
  });
  const { live, metrics } = gate;
  const upstreamProbe = new UpstreamProbe(gate);

  // The sidecar first: it can say that the proxy is still starting.
  let sidecar: Sidecar | undefined;
  const port: ControlPort = {
    readiness: () => readReadiness(gate, upstreamProbe),
    effectiveConfig: () => ({ ...compiled.effective, splicing: description, driving: sockets.description }),
    metricsText: () =>
      writeMetricsText({
        version,
        metrics,
        live,
        accessLog,
        auth: gate.runtime.current.authenticator.checks,
        certificates: listCertificates(gate, doors.plans),
        ...(sidecar && { sidecar: sidecar.connections }),
        ...(lanes && { lanes: lanes.status() }),
      }),
    tunnels: (filter) => live.list(performance.now(), filter),
    kill: (filter) => live.kill(filter),
    captures: {
      start: (wanted) => gate.captures.start(wanted, (visit) => live.visit(visit)),
      stop: (id) => gate.captures.stop(id),
    },
  };
  const besides = await openSidecar(compiled.sidecar, port, (error) => bugs.report("A mistake in the sidecar", error));
  if (besides !== undefined && !besides.ok) return besides;
  sidecar = besides?.sidecar;
  // It is not for the users of the proxy, whatever the rules allow.
  if (compiled.sidecar?.at.kind === "tcp" && sidecar?.port !== undefined)
    gate.own.add(compiled.sidecar.at.host, sidecar.port);

  const bound = gate.listen(doors.plans);
  if (!bound.ok) {
    await Promise.all([sidecar?.stop(), lanes?.stop()]);
    gate.close();
    return { ok: false, message: explainBinding(bound.plan, bound.code) };
  }
  warnOfDescriptors(descriptors, compiled.runtime.limits.connections, options.tell);

  const stopTidying = tidyMemory(() => {
    const accepted = metrics.accepted.values().reduce((sum, count) => sum + count, 0);
    return { accepted, ended: accepted - metrics.connectionsOpen };
  });
  const close = async (): Promise<void> => {
    stopTidying();
    await Promise.all([withinMs(accessLog.stop(), LAST_LINES_MS), sidecar?.stop(), lanes?.stop()]);
    gate.close();
  };
  return {
    ok: true,
    daemon: {
      listeners: bound.listeners.map(({ host, port: at, name }) => ({ host, port: at, text: name })),
      sidecar,
      splicing: description,
      driving: sockets.description,
      lanes,
      tls: doors.plans.map(({ tls }) => tls),
      reportBug: (error) => bugs.report("A mistake outside of any connection, which ended none", error),
      replaceUsers(text) {
        if (compiled.usersFile === undefined) throw new Error("There is no users file to replace");
        const recompiled = compiled.usersFile.recompile(text);
        // Other parts may have been replaced since this one was compiled.
        if (recompiled.ok)
          gate.runtime.swap({ ...gate.runtime.current, authenticator: recompiled.value.authenticator });
        return recompiled;
      },
      renewTrust(renew) {
        gate.runtime.swap(renew(gate.runtime.current));
      },
      async drain() {
        await gate.drain(compiled.drainMs);
        await close();
      },
      async stop() {
        await gate.stop();
        await close();
      },
    },
  };
}

/** Warns when the limit of open files is met before that of connections: each has a descriptor for its client and one for its target. */
function warnOfDescriptors(descriptors: SpareDescriptors, wanted: number, tell: (message: string) => void): void {
  const { limit, connections } = descriptors.measure();
  if (connections >= wanted) return;
  tell(
    `Warning: this process may open ${limit} files, which is enough for ${connections} connections, and "limits.connections" is ${wanted}. Raise the limit (ulimit -n, LimitNOFILE=) or lower "limits.connections".`,
  );
}

/** When the certificates of each listener expire, by the name of the listener. */
function listCertificates({ listeners }: Gate, plans: readonly DoorPlan[]) {
  return plans.flatMap(({ tls }, at) => {
    const listener = listeners?.[at]?.name;
    return tls === undefined || listener === undefined ? [] : [{ listener, expiresAt: tls.expiresAt }];
  });
}

type Doors =
  { readonly ok: true; readonly plans: readonly DoorPlan[] } | { readonly ok: false; readonly message: string };
type DoorPlan = ListenPlan & { readonly tls?: ListenerTls };

/** Prepares what each listener shows to its clients. */
function openDoors({ listeners }: CompiledConfig): Doors {
  const plans: DoorPlan[] = [];
  for (const { tls: plan, ...listener } of listeners) {
    const made = plan && createListenerTls(plan);
    if (made?.ok === false) return made;
    plans.push({ ...listener, ...(made && { tls: made.tls }) });
  }
  return { ok: true, plans };
}

/** Milliseconds for whoever reads access lines to take the last ones. */
const LAST_LINES_MS = 1000;

/** Ready to serve a new connection: bound, not about to stop, and with a way to somewhere. */
async function readReadiness(gate: Gate, upstreamProbe: UpstreamProbe): Promise<Readiness> {
  if (gate.listeners === undefined && !gate.draining) return { ready: false, reason: "starting" };
  const open = gate.draining || (await upstreamProbe.isOpen(gate.runtime.current));
  if (gate.draining) return { ready: false, reason: "draining" };
  return open ? { ready: true } : { ready: false, reason: "no_way_out" };
}

function openSidecar(
  plan: CompiledConfig["sidecar"],
  port: ControlPort,
  reportBug: (error: unknown) => void,
): Promise<SidecarStart> | undefined {
  if (plan === undefined) return undefined;
  const { at, token, allowedHosts } = plan;
  const app = createSidecarApp(port, {
    reportBug,
    ...(token && { token }),
    ...(at.kind === "tcp" && { allowedHosts: [hostname(), ...allowedHosts] }),
  });
  return startSidecar({ app, address: at.kind === "tcp" ? at : { unix: at.path }, serveHttp, reportBug });
}

function explainBinding({ host, port }: ListenPlan, code: string): string {
  const problem = `Cannot listen on ${formatListener(host, port)}: `;
  switch (code) {
    case "EADDRINUSE":
      return `${problem}the port is in use. Stop what uses it, or set "listen" (--listen) to another.`;
    case "EACCES":
      return `${problem}the system does not allow it. Set "listen" (--listen) to a port above 1023, or give the program CAP_NET_BIND_SERVICE.`;
    case "EADDRNOTAVAIL":
      return `${problem}this machine has no such address. Set "listen" (--listen) to one that it has.`;
    default:
      return `${problem}the system says ${code}. Set "listen" (--listen) to another address.`;
  }
}
