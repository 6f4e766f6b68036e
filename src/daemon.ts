import type { Tell } from "./operator-message.ts";
import { composeCertificates } from "./compose-certificates.ts";
import { composeUsage } from "./compose-usage.ts";
import { composeWarmUp } from "./compose-warm-up.ts";
import { readMetricSources } from "./compose-metrics.ts";
import { composeTelemetry } from "./compose-telemetry.ts";
import { composeFleet } from "./compose-fleet.ts";
import { composeControl } from "./compose-control.ts";
import { composeReloads } from "./compose-reloads.ts";
import { openAccessLog } from "./access-output.ts";
import { ConfigApplier, type InUse } from "./apply-config.ts";
import type { CompiledConfig } from "./config/compile.ts";
import type { RenewTrust } from "./config/follow-trust.ts";
import type { LoadResult } from "./config/load.ts";
import type { Checked } from "./config/problem.ts";
import { Drain } from "./drain.ts";
import { Gate } from "./gate/gate.ts";
import { withinMs } from "./net/conn/time-limit.ts";
import type { Movable } from "./gate/movable.ts";
import type { CarriedState } from "./handover/carried-state.ts";
import { carryGate, composeHandover } from "./handover/compose-handover.ts";
import type { HandoverOutcome, StartSuccessor } from "./handover/handover.ts";
import type { Successor } from "./handover/successor.ts";
import type { LanePool } from "./net/conn/lanes.ts";
import type { Resolver } from "./net/dns/resolver.ts";
import type { Reactor } from "./net/epoll/reactor.ts";
import { PassedSockets } from "./net/handover/passed-sockets.ts";
import type { InheritedSockets } from "./net/inherited-sockets.ts";
import { SpareDescriptors } from "./net/libc/spare-descriptors.ts";
import { TlsContexts } from "./net/runtime/tls-contexts.ts";
import { chooseSockets } from "./net/sockets.ts";
import { startLanes } from "./net/splice/lane-pool.ts";
import { openSidecar, type SidecarPlan } from "./open-sidecar.ts";
import { explainBinding, prepareListeners } from "./prepare-listeners.ts";
import type { ListenerTls } from "./proxy/accept/listener-tls.ts";
import { chooseEngine } from "./proxy/flow/engine.ts";
import { Bandwidths } from "./proxy/limit/bandwidths.ts";
import type { LogSink } from "./proxy/record/access-log.ts";
import { BugReporter } from "./proxy/record/bug-reporter.ts";
import type { Runtime } from "./proxy/runtime.ts";
import { composeReports, warnAtStart } from "./operator-reports.ts";
import type { ReloadOutcome } from "./reloader.ts";
import type { DrainState } from "./sidecar/control-port.ts";
import type { Sidecar } from "./sidecar/serve.ts";
import { prepareStateFolder } from "./state/state-folder.ts";
import type { FileText } from "./config/read-file.ts";
import { fetchText } from "./net/http/fetch-text.ts";
import type { ListsInUse } from "./lists/lists-in-use.ts";
import { PacFiles } from "./pac/pac-files.ts";
import { tidyMemory } from "./tidy-memory.ts";
import type { Pools } from "./proxy/upstream/pools.ts";
import { version } from "./version.ts";

export interface DaemonOptions {
  /** Where access lines go. */
  readonly accessSink: LogSink;
  /** Where messages for the operator go. */
  readonly tell: Tell;
  /** Reads the configuration again; absent where nothing can change. `turn` lets clients have their turn. */
  readonly load?: (turn: () => Promise<void>) => Promise<LoadResult>;
  /** Called after each reload: with the configuration in use, the files that the one that was read depends on, and whether it is in use. */
  readonly reloaded?: (inUse: CompiledConfig, files: readonly string[], done: boolean) => void;
  /** Instead of the system's resolver, for tests. */
  readonly resolver?: Resolver;
  /** Instead of an event loop of its own, for several proxies on one thread. It stays open. */
  readonly eventLoop?: Reactor;
  /** Sockets that a service manager opened for this process. */
  readonly inherited?: InheritedSockets;
  /** Whether a drain that a signal began cannot be taken back, because a service manager ends this process in any case. */
  readonly stopIsFinal?: boolean;
  /** What the next process is to know, beside what the daemon itself carries. */
  readonly carried?: readonly CarriedState[];
  /** Is told of each step of a drain. */
  readonly onDrain?: (state: DrainState) => void;
  /** Starts processes that take over; absent where none can. */
  readonly successors?: {
    readonly start: StartSuccessor;
    /** The process with that id accepts connections from now on. */
    readonly onHandedOver: (pid: number) => void;
    /** It is gone, and this process accepts again. */
    readonly onResumed: () => void;
  };
  /** What this process has got from the one that it takes over from. */
  readonly successor?: Successor;
  /** The process before this one has stopped accepting. */
  readonly onTakenOver?: () => void;
}

/** A running proxy. */
export interface Daemon {
  /** Every listener as bound: `host:port`. */
  readonly listeners: readonly { readonly host: string; readonly port: number; readonly text: string }[];
  readonly sidecar: Sidecar | undefined;
  /** Milliseconds that tunnels get to end after a signal to stop. */
  readonly drainMs: number;
  /** One sentence on whether long tunnels are carried by the kernel. */
  readonly splicing: string;
  /** One sentence on which event loop drives plain connections. */
  readonly driving: string;
  /** The threads that carry long tunnels; undefined where there are none. */
  readonly lanes: LanePool | undefined;
  /** The TLS of a listener, by its index, or of the sidecar; undefined for a plain one. */
  tls(of: number | "sidecar"): ListenerTls | undefined;
  /** The pools of upstreams: their state, and the operator's say in it. */
  readonly pools: Pools;
  /** Calls back once the event loop has taken another turn. */
  afterTurn(callback: () => void): void;
  /** Opens the file of access lines again. */
  reopenLogs(): void;
  /** Reports an uncaught error to the operator. */
  reportBug(error: unknown): void;
  /** Reads the configuration again and puts it into effect in one step. */
  reload(): Promise<ReloadOutcome>;
  /** Applies the text of a changed users file to new connections, or says why it cannot be used. */
  replaceUsers(text: string): Checked<Runtime>;
  /** Tells the operator of certificates that are near their end, where it has not done so. */
  checkCertificates(): void;
  /** Uses the text of a changed PAC file, or notes why it cannot be used. */
  replacePac(name: string, read: FileText): Promise<void>;
  /** The lists of rules: their texts, and what replaces them. */
  readonly lists: Pick<ListsInUse, "read" | "replace">;
  /** Applies changed certificates for upstreams and origins to new connections. */
  renewTrust(renew: RenewTrust): void;
  /** Has the runtime compile the code that serves clients, in the background, until the first client comes. */
  warmUp(): void;
  /**
   * Leaves as the configuration says: lame duck, then a time for tunnels, then the
   * end of those that are left. `by` is told. Resolves when nothing is open any
   * more, or when somebody took the drain back.
   */
  drain(by?: string): Promise<"ended" | "resumed">;
  /** Starts another process and hands over to it. Resolves when that one accepts connections, or has failed. */
  handOver(by: string, executable?: string): Promise<HandoverOutcome>;
  /** Ends everything at once. */
  stop(): Promise<void>;
  /** Resolves when nothing is open any more, whoever asked for it. */
  readonly ended: Promise<void>;
}

export type DaemonStart =
  | { readonly ok: true; readonly daemon: Daemon }
  /** Nothing is left open. The message names the setting. */
  | { readonly ok: false; readonly message: string };

/** Composes a compiled configuration into a running proxy: runtime, listeners, sidecar. */
export async function startDaemon(compiled: CompiledConfig, options: DaemonOptions): Promise<DaemonStart> {
  const { tell, successor } = options;
  const inherited = options.inherited ?? successor?.inherited;
  const [{ runtime, splice }, secrets] = [compiled, [...compiled.secrets]];
  const contexts = new TlsContexts();
  const unusable = compiled.state && prepareStateFolder(compiled.state);
  if (unusable !== undefined) return { ok: false, message: unusable };
  const listeners = prepareListeners(compiled, { contexts, inherited });
  if (!listeners.ok) return listeners;
  const inUse: InUse = { compiled, plans: listeners.plans, sidecar: undefined };
  const opened = openAccessLog(compiled.log, options.accessSink, tell);
  if (!opened.ok) return opened;
  const { accessLog, accessOutput } = opened;
  const passed = successor?.sockets ?? new PassedSockets();
  const sockets = chooseSockets(compiled.sockets, options.eventLoop, { inherited, passed });
  const bandwidths = new Bandwidths(runtime, { timer: sockets.timers.budgets });
  const start = () => startLanes({ onTrouble: (trouble) => tell(trouble, "error"), buckets: bandwidths.buckets });
  const { engine, lanes, description } = chooseEngine(splice, start, sockets.adopt);
  const bugs = new BugReporter({ tell, secrets });
  const pacs = new PacFiles({ tell, fetch: fetchText, now: Date.now, random: Math.random });
  const descriptors = new SpareDescriptors();
  const use = composeUsage(compiled, tell);
  const fleet = composeFleet(compiled, use, tell);
  const telemetry = composeTelemetry(compiled, tell);
  const gate = new Gate({
    runtime,
    sockets,
    tunnel: engine,
    bandwidths,
    descriptors,
    accessLog,
    usage: use.usage,
    quotas: use.quotas,
    traces: telemetry.traces,
    application: `Penstock ${version}`,
    ...(options.resolver && { resolver: options.resolver }),
    findPac: (name) => pacs.find(name),
    ...composeReports({ tell, secrets, bugs, log: compiled.log }),
  });
  const certificates = composeCertificates(gate, inUse, tell, secrets);
  const { openInProcess } = sockets;
  const warmUp = composeWarmUp(compiled, { gate, tunnel: engine, descriptors, lanes, bandwidths, openInProcess });
  let close = (): Promise<void> => Promise.resolve();
  const drain = new Drain({
    gate,
    times: () => inUse.compiled,
    tell,
    onStep(state) {
      if (state.phase !== "serving") {
        handover.abandon("The proxy began to shut down.");
        successor?.leave();
      }
      control.step(state.phase);
      options.onDrain?.(state);
      const { phase, leftMs, connections, tunnels } = state;
      gate.events.publish("drain", { phase, left_ms: leftMs, connections, tunnels });
    },
    close: () => close(),
  });

  const measured = { gate, inUse, accessLog, use, fleet, lanes, pacs, telemetry, reloads: () => reloader, tell };
  // Connections first, then timers and promises of the runtime.
  const turn = () => new Promise<void>((resolve) => sockets.afterTurn(() => setImmediate(resolve)));
  // The sidecar first: it can say that the proxy is still starting.
  const control = composeControl({
    ...measured,
    drain,
    turn,
    lists: () => applier.lists,
    splicing: description,
    driving: sockets.description,
    ...(options.load && { reload: () => reloader.reload() }),
    ...(options.successors && { handOver: (executable) => handover.handOver("POST /handover", executable) }),
  });
  const open = (plan: SidecarPlan) =>
    openSidecar(plan, control, { listen: sockets.listenForSidecar, passed, contexts }, (error) =>
      bugs.report("A mistake in the sidecar", error),
    );
  const applier = new ConfigApplier({
    ...measured,
    accessOutput,
    secrets,
    openSidecar: open,
    contexts,
    inherited,
    certificates,
    turn,
  });
  const carried = [...carryGate(gate, use), ...control.carried, ...(options.carried ?? [])];
  const movable = { release: () => gate.release(), receive: (connection: Movable) => gate.receive(connection) };
  const handover = composeHandover({
    gate,
    drain,
    inUse,
    inherited,
    passed,
    carried,
    tell,
    watch: sockets.watch,
    program: version,
    ...movable,
    start: options.successors?.start ?? (() => "This process cannot start another one."),
    onHandedOver: (pid) => options.successors?.onHandedOver(pid),
    onResumed: () => options.successors?.onResumed(),
    reopenSidecar: () => applier.reopenSidecar(),
    endWatches: () => control.endWatches(),
  });
  const reloader = composeReloads({
    gate,
    applier,
    drain,
    descriptors,
    tell,
    load: () => options.load?.(turn) ?? Promise.reject(new Error("There is nothing to load")),
    applied() {
      control.follow();
      successor?.settle();
    },
    reloaded: (files, done) => options.reloaded?.(inUse.compiled, files, done),
  });
  control.follow();
  successor?.restore(carried, tell);
  const opening = compiled.sidecar && (await open(compiled.sidecar));
  if (opening?.ok === false) return opening;
  inUse.sidecar = opening?.open;
  // Clients of the proxy must not reach it, whatever the rules allow.
  applier.claimAddresses();
  await applier.start(inUse);
  await fleet.start(gate);
  telemetry.start(gate, () => readMetricSources(measured));

  const bound = gate.listen(inUse.plans);
  if (!bound.ok) {
    // The old process serves on at its path.
    if (successor) inUse.sidecar?.sidecar.retire(true);
    await Promise.all([inUse.sidecar?.sidecar.stop(), lanes?.stop(), fleet.stop(), telemetry.stop()]);
    applier.close();
    accessOutput.close();
    gate.close();
    return { ok: false, message: explainBinding(bound.plan, bound.code) };
  }
  warnAtStart({ inherited, descriptors, compiled }, tell);
  certificates.start();

  const stopTidying = tidyMemory(() => gate.metrics.countConnections());
  close = async () => {
    // What is on its way to a successor arrives, or ends here.
    await Promise.all([warmUp.stop(), withinMs(handover.finish(), LAST_MS.moves)]);
    await gate.stop();
    control.stop();
    stopTidying();
    await withinMs(certificates.close(), LAST_MS.orders);
    applier.close();
    await Promise.all([fleet.stop(), withinMs(telemetry.stop(), LAST_MS.exports)]);
    await Promise.all([withinMs(accessLog.stop(), LAST_MS.lines), inUse.sidecar?.sidecar.stop(), lanes?.stop()]);
    accessOutput.close();
    gate.close();
  };
  successor?.accept({
    watch: sockets.watch,
    receive: movable.receive,
    carried,
    program: version,
    onConfirmed: () => options.onTakenOver?.(),
    tell,
  });
  return {
    ok: true,
    daemon: {
      get listeners() {
        return (gate.listeners ?? []).map(({ host, port, name }) => ({ host, port, text: name }));
      },
      get sidecar() {
        return inUse.sidecar?.sidecar;
      },
      get drainMs() {
        return inUse.compiled.drainMs;
      },
      splicing: description,
      driving: sockets.description,
      lanes,
      tls: (of) => (of === "sidecar" ? inUse.sidecar : inUse.plans[of])?.tls,
      pools: gate.pools,
      afterTurn: sockets.afterTurn,
      reload: () => reloader.reload(),
      reopenLogs: () => accessOutput.reopen(),
      reportBug: (error) => bugs.report("A mistake outside of any connection, which ended none", error),
      replaceUsers: (text) => applier.replaceUsers(text),
      checkCertificates: () => certificates.look(),
      replacePac: (name, read) => pacs.replace(name, read),
      lists: applier.lists,
      renewTrust(renew) {
        gate.use(renew.runtime(gate.runtime.current));
        pacs.renewAuthorities(renew.pacs);
      },
      warmUp() {
        if (drain.phase === "serving") warmUp.start();
      },
      drain(by = "Drain") {
        // Its tunnels are not among those that a drain waits for.
        void warmUp.stop();
        drain.begin(by, inUse.compiled.drainMs, options.stopIsFinal);
        return drain.outcome;
      },
      handOver: (by, executable) => handover.handOver(by, executable),
      stop: () => drain.stop(),
      ended: drain.ended,
    },
  };
}

/**
 * Milliseconds at the end: for connections that are on their way to a successor, for orders of
 * certificates to be given up, for the reader of the access log to take the last lines, and for
 * the collector to take what is left.
 */
const LAST_MS = { moves: 500, orders: 500, lines: 1000, exports: 3000 } as const;
