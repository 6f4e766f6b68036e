import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import { withinMs } from "../net/conn/time-limit.ts";
import type { Descriptors } from "../net/conn/descriptors.ts";
import type { Resolver } from "../net/dns/resolver.ts";
import { createSystemResolver } from "../net/dns/system-resolver.ts";
import type { Connect } from "../net/runtime/connect.ts";
import type { Sockets } from "../net/sockets.ts";
import { ClientProfiles } from "../protocol/tls/read/client-profiles.ts";
import type { Listener } from "../proxy/accept/listener.ts";
import { CredentialChecks } from "../proxy/auth/credential-checks.ts";
import { type ConnectionServices, recordUnserved, serveConnection } from "../proxy/connection.ts";
import type { ApprovalTable } from "../approvals/approval-table.ts";
import { HealthChecks } from "../proxy/dial/health-checks.ts";
import { Forwarding } from "../proxy/exchange/forwarding.ts";
import type { HookReport } from "../proxy/hook/call-hook.ts";
import { Admission } from "../proxy/limit/admission.ts";
import type { Quotas } from "../proxy/limit/quotas.ts";
import { RequestLimits } from "../proxy/limit/request-limits.ts";
import type { Usage } from "../proxy/limit/usage.ts";
import { Bandwidths } from "../proxy/limit/bandwidths.ts";
import { clientKey } from "../address/client-key.ts";
import type { Newcomer } from "../proxy/read/first-message.ts";
import { ConnectTargets } from "../proxy/read/tunnel-request.ts";
import type { AccessLog } from "../proxy/record/access-log.ts";
import { Captures } from "../proxy/record/captures.ts";
import { LiveTable } from "../proxy/record/live-table.ts";
import { LiveCounters } from "../proxy/record/live/live-counters.ts";
import { Metrics } from "../proxy/record/metrics.ts";
import { EventStream } from "../proxy/record/events/event-stream.ts";
import { StateEvents } from "../proxy/record/events/state-events.ts";
import { RequestEvents } from "../proxy/record/events/request-events.ts";
import { createRecorder, type Recorder, type TraceReceiver } from "../proxy/record/recorder.ts";
import type { RequestTracer } from "../proxy/record/request-tracer.ts";
import { type Runtime, RuntimeHolder } from "../proxy/runtime.ts";
import { RequestIds } from "../proxy/record/request-record.ts";
import { createTraffic } from "../proxy/flow/flow.ts";
import type { TunnelEngine } from "../proxy/flow/tunnel.ts";
import { Pools } from "../proxy/upstream/pools.ts";
import type { Pool, PoolEvent } from "../proxy/upstream/pool.ts";
import type { PacFile } from "../proxy/pac/pac-file.ts";
import { PacRouter } from "../proxy/pac/pac-router.ts";
import type { Tracing } from "../proxy/trace/tracing.ts";
import { Upstreams } from "../proxy/upstream/upstreams.ts";
import { endDenied } from "./end-denied.ts";
import {
  type BoundListener,
  Listeners,
  type ListenerOwner,
  type ListenPlan,
  type PreparedChange,
} from "./listeners.ts";
import { KnownAddresses, OwnAddresses } from "./addresses.ts";
import type { Movable } from "./movable.ts";
import { Receiver } from "./move-in.ts";
import { Release } from "./move-out.ts";

export interface GateOptions {
  /** The snapshot for the first connections. */
  readonly runtime: Runtime;
  /** The event loop. The gate owns it. Without `adopt` connections cannot move between processes. */
  readonly sockets: Pick<Sockets, "listen" | "connect" | "close" | "adopt">;
  readonly tunnel: TunnelEngine;
  readonly descriptors: Descriptors;
  readonly accessLog: AccessLog;
  /** Tells the stages of requests; absent when none are traced. */
  readonly tracer?: RequestTracer | undefined;
  /** Name and version of this program, for captures. */
  readonly application: string;
  /** Counts use, and says whose quota is used up; absent where no use is counted. */
  readonly usage?: Usage;
  readonly quotas?: Quotas;
  /** Is told of requests that were traced. */
  readonly traces?: TraceReceiver;
  /** Where lanes share the buckets. Made by the gate when absent. */
  readonly bandwidths?: Bandwidths;
  /** Replaces the resolver of the system. */
  readonly resolver?: Resolver;
  /** Is told when the health of a member of a pool changes, and when a session moves. */
  poolChanged?(event: PoolEvent): void;
  /** The PAC file in use of an upstream. */
  findPac?(name: string): PacFile | undefined;
  /** Tells the operator that a PAC file gave no usable answer. `why` continues a sentence that begins with the file. */
  reportPac?(name: string, why: string): void;
  /** Tells the operator of a bug that ended the connection `id`. */
  reportBug(error: unknown, id: string): void;
  /** Tells the operator that a function of the configuration failed, and how. */
  reportHook(report: HookReport): void;
}

/** Milliseconds for clients that were accepted before a drain to send a request: it may be on its way. */
const NEWCOMERS_MS = 500;
/** Milliseconds for connections that were ended to write their records: microtasks, except in the middle of a handshake. */
const LAST_RECORDS_MS = 200;

/**
 * The proxy of one thread: its listeners, its event loop, and what its connections
 * share: pools, caches, tables, counts. It has no module-level state, so several
 * gates can run in one process.
 */
export class Gate implements ConnectionServices, ListenerOwner {
  readonly runtime: RuntimeHolder;
  readonly resolver: Resolver;
  readonly connect: Connect;
  readonly tunnel: TunnelEngine;
  readonly admission: Admission;
  readonly requestLimits = new RequestLimits();
  readonly traffic = createTraffic();
  readonly forwarding = new Forwarding(this.traffic);
  readonly live: LiveTable;
  readonly bandwidths: Bandwidths;
  readonly metrics = new Metrics();
  readonly counters = new LiveCounters();
  readonly recorder: Recorder;
  readonly quotas: Quotas | undefined;
  readonly events: EventStream;
  readonly captures: Captures;
  readonly clientProfiles = new ClientProfiles();
  /** Undefined when no requests are traced. */
  tracer: RequestTracer | undefined;
  readonly own = new OwnAddresses();
  readonly upstreams = new Upstreams();
  readonly pools: Pools;
  readonly healthChecks: HealthChecks;
  readonly checks = new CredentialChecks();
  readonly pacs: PacRouter;
  readonly ids = new RequestIds();
  readonly targets = new ConnectTargets();
  readonly newcomers = new Set<Newcomer>();
  /** Chooses the requests that are traced; undefined for none. */
  tracing: Tracing | undefined = undefined;
  /** Asks operators for approvals; undefined where nobody can answer. */
  approvals: ApprovalTable | undefined = undefined;
  draining = false;
  refusing = false;
  /** The listeners accept, or are about to. */
  accepting = true;
  readonly #options: GateOptions;
  readonly #addresses = new KnownAddresses();
  readonly #listeners: Listeners;
  readonly #receiver: Receiver;
  readonly #stateEvents: StateEvents;
  #listening = false;
  /** Ends the time of newcomers. */
  #newcomersTimer: NodeJS.Timeout | undefined;

  constructor(options: GateOptions) {
    const { descriptors, accessLog, sockets } = options;
    this.#options = options;
    this.tracer = options.tracer;
    this.runtime = new RuntimeHolder(options.runtime);
    this.bandwidths = options.bandwidths ?? new Bandwidths(options.runtime);
    this.live = new LiveTable(this.forwarding.exchanges, (bucket) => this.bandwidths.nameLimit(bucket));
    this.events = new EventStream({ origin: this.ids.prefix });
    this.#stateEvents = new StateEvents(this.events);
    this.pools = new Pools({ changed: (event) => this.#reportPool(event) });
    this.pools.use(options.runtime.upstreams, options.runtime.pacs);
    this.healthChecks = new HealthChecks({
      services: this,
      reportBug: (error) => this.reportBug(error, "of no client"),
    });
    this.quotas = options.quotas;
    this.connect = sockets.connect;
    this.tunnel = options.tunnel;
    this.resolver =
      options.resolver ??
      createSystemResolver({
        // A kept connection can lead to an address that the name no longer has.
        changed: () => this.forwarding.origins.clear(),
        nameClient: (client) => clientKey(client, this.runtime.current.limits.clientPrefix),
      });
    this.pacs = new PacRouter({
      resolver: this.resolver,
      find: (name) => options.findPac?.(name),
      report: (name, why) => options.reportPac?.(name, why),
      nameClient: (client) => clientKey(client, this.runtime.current.limits.clientPrefix),
    });
    this.admission = new Admission(descriptors);
    this.#listeners = new Listeners(sockets.listen, this);
    this.recorder = createRecorder({
      accessLog,
      metrics: this.metrics,
      live: this.live,
      usage: options.usage,
      events: new RequestEvents(this.events),
      counters: this.counters,
      traces: options.traces,
      findTracer: () => this.tracer,
      reportBug: (error, id) => this.reportBug(error, id),
    });
    this.captures = new Captures({ application: options.application });
    this.#receiver = new Receiver(this);
  }

  /** Puts another snapshot into use for new requests. Pools keep their state by name. */
  use(runtime: Runtime): void {
    this.runtime.swap(runtime);
    this.pacs.retain(runtime.pacs ?? new Map());
    this.pools.use(runtime.upstreams, runtime.pacs);
    this.healthChecks.follow();
    this.bandwidths.use(runtime);
    if (!this.bandwidths.isOff) this.#followBandwidths();
  }

  /** Limits what has come under a limit that it was not under before. */
  #followBandwidths(): void {
    this.live.visit((record, tunnel) => {
      const hold = this.bandwidths.follow(record, record.bandwidth);
      if (hold === undefined) return;
      record.bandwidth?.release();
      record.bandwidth = hold;
      tunnel.limit?.(hold.up, hold.down);
    });
    for (const exchange of this.forwarding.exchanges) exchange.followLimits();
  }

  /** The pool that another process knew under this name: also that of a proxy, or of several, that a PAC file named there. */
  findPool(name: string): Pool | undefined {
    const known = this.pools.get(name);
    if (known !== undefined) return known;
    const end = name.indexOf("/");
    const plan = this.runtime.current.pacs?.get(name.slice(0, Math.max(0, end)));
    const way = plan && this.pacs.revive(plan, name.slice(end + 1));
    return way === undefined || way === "direct" ? undefined : this.pools.find(way);
  }

  /** The listeners as bound; undefined before. */
  get listeners(): readonly BoundListener[] | undefined {
    return this.#listening ? this.#listeners.bound : undefined;
  }

  /** Binds every listener and accepts connections; or tells which one cannot be bound, and binds none. */
  listen(plans: readonly ListenPlan[]): ListenOutcome {
    const change = this.prepareListeners(plans);
    if (!change.ok) return change;
    change.commit();
    for (const { host, port } of this.#listeners.bound) this.own.add(host, port);
    this.healthChecks.start();
    return { ok: true, listeners: this.#listeners.bound };
  }

  /** Binds the listeners that are new. `commit` or `abandon` must follow in the same turn of the event loop. */
  prepareListeners(plans: readonly ListenPlan[]): PreparedChange {
    const change = this.#listeners.prepare(plans);
    if (!change.ok) return change;
    return {
      ...change,
      commit: () => {
        change.commit();
        this.#listening = true;
      },
    };
  }

  accept(conn: Conn, from: Ip, listener: Listener): void {
    void serveConnection(conn, this.shareAddress(from), listener, this);
  }

  shareAddress(ip: Ip): Ip {
    return this.#addresses.share(ip);
  }

  turnAway(from: Ip, port: number, listener: Listener): void {
    recordUnserved({ ip: from, port }, listener, this);
  }

  reportBug(error: unknown, id: string): void {
    this.#options.reportBug(error, id);
  }

  reportHook(report: HookReport): void {
    this.#options.reportHook(report);
    this.#stateEvents.hook(report);
  }

  #reportPool(event: PoolEvent): void {
    this.#options.poolChanged?.(event);
    this.#stateEvents.upstream(event);
  }

  /** Stops accepting, and refuses new requests. Connections live on. */
  stopAccepting(): void {
    clearTimeout(this.#newcomersTimer);
    this.#listeners.close();
    this.accepting = false;
    this.draining = true;
    this.healthChecks.stop();
    this.refusing = true;
  }

  /** Stops accepting because another process does, on the listeners that `isShared` tells. Whoever is connected here is served here. */
  leaveListeners(isShared: (bound: BoundListener) => boolean): void {
    this.#listeners.close(isShared);
    this.accepting = false;
  }

  /** Ends the tunnels that the snapshot in use would deny, and gives their number. */
  endDenied(): Promise<number> {
    return endDenied(this.live, this.runtime.current, this);
  }

  /** Ends every connection. The last records follow within some turns of the event loop. */
  abort(): void {
    this.live.killAll();
    this.forwarding.abort();
    this.admission.lingering.abort();
  }

  /** Stops accepting and ends what is idle. Everything else may go on to its end, and clients that have just come may begin. */
  beginDrain(): void {
    this.#listeners.retire();
    this.accepting = false;
    this.#newcomersTimer = setTimeout(() => this.#endNewcomers(), NEWCOMERS_MS);
    this.windDown();
  }

  /** Ends what is busy after its next response, and what is idle at once; or that, too, after its next response. */
  windDown(idle: "end" | "serve" = "end"): void {
    this.draining = true;
    this.forwarding.windDown(idle);
    this.admission.lingering.hurry();
  }

  #endNewcomers(): void {
    this.refusing = true;
    for (const newcomer of this.newcomers) newcomer.giveUpSilent();
  }

  /** Takes `beginDrain` back: binds the same listeners again, all of them. When one cannot be bound, none is, and the drain goes on. */
  resume(): ListenOutcome {
    const reopened = this.#listeners.reopen();
    if (!reopened.ok) return reopened;
    clearTimeout(this.#newcomersTimer);
    this.accepting = true;
    this.draining = false;
    this.healthChecks.start();
    this.refusing = false;
    this.forwarding.reopen();
    this.admission.lingering.relax();
    return { ok: true, listeners: this.#listeners.bound };
  }

  /**
   * Gives away every connection that can move to another process: tunnels in
   * clear, and clients in clear between two requests. The descriptors belong to
   * the caller from then on and stay open until the caller closes them. Goes on
   * for connections that become free later, and ends when none is left here, or
   * with `return()`. What the caller could not pass on goes back with `receive`,
   * after `resume` where the gate drains. Begin before `beginDrain`, which ends
   * clients that wait.
   */
  release(): AsyncIterable<Movable> {
    return { [Symbol.asyncIterator]: () => Release.begin(this, (movable) => this.receive(movable)) };
  }

  /**
   * Takes over and serves what `release` gave away, in another process or in this
   * one. False when it is of a kind or version that is not known; then the
   * descriptors still belong to the caller.
   */
  receive(movable: Movable): boolean {
    return this.#receiver.receive(movable);
  }

  /** Undefined where connections cannot move between processes. */
  get adopt(): GateOptions["sockets"]["adopt"] {
    return this.#options.sockets.adopt;
  }

  /** Stops accepting, ends every connection, and waits until they are recorded. */
  async stop(): Promise<void> {
    this.stopAccepting();
    this.abort();
    await withinMs(this.admission.untilEmpty(), LAST_RECORDS_MS);
    this.captures.stopAll();
  }

  /** Ends the event loop. No connection may be left. */
  close(): void {
    this.#options.sockets.close();
  }
}

export type ListenOutcome =
  | { readonly ok: true; readonly listeners: readonly BoundListener[] }
  | { readonly ok: false; readonly plan: ListenPlan; readonly code: string };
