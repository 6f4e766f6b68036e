import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import { readClockOffset } from "../net/conn/monotonic-clock.ts";
import { type ConnectionServices, resumeConnection } from "../proxy/connection.ts";
import { findAffinity } from "../proxy/dial/member-search.ts";
import type { TunnelOwner, TunnelResult, TunnelTap } from "../proxy/flow/tunnel.ts";
import type { AllowDecision } from "../proxy/policy/decision.ts";
import { type RecordedConnection, RequestRecord } from "../proxy/record/request-record.ts";
import { noteTunnelEnd, tapTunnel } from "../proxy/note-request.ts";
import type { Route } from "../proxy/route/route.ts";
import type { Runtime } from "../proxy/runtime.ts";
import type { Movable } from "./movable.ts";
import { MovedCarriage } from "./moved-carriage.ts";
import { readState, type TunnelState } from "./move-state.ts";

const DESCRIPTORS = { tunnel: 2, client: 1 } as const;

/** What receiving needs of a gate. */
export interface ReceiveServices extends ConnectionServices {
  /** Makes a connection of a TCP socket that was connected elsewhere, and owns it from then on. */
  readonly adopt: ((fd: number) => Conn) | undefined;
  /** The known object for an equal address. */
  shareAddress(ip: Ip): Ip;
}

/** Takes over what another process, or this one, gave away. */
export class Receiver {
  readonly #services: ReceiveServices;
  /** The snapshot for tunnels that this gate has not judged, and the one that it is a copy of. */
  #unjudged: { readonly of: Runtime; readonly copy: Runtime } | undefined;

  // What many tunnels have in common, by name.
  readonly #listeners = new Map<string, RecordedConnection["listener"]>();
  readonly #decisions = new Map<string, AllowDecision>();
  readonly #routes = new Map<string, Route>();

  constructor(services: ReceiveServices) {
    this.#services = services;
  }

  /** Serves a connection from now on, and owns its descriptors; or gives false, and nothing has changed. */
  receive({ state, descriptors }: Movable): boolean {
    const { adopt } = this.#services;
    const clockOffset = readClockOffset();
    if (adopt === undefined || clockOffset === undefined) return false;
    const known = readState(state, clockOffset, (ip) => this.#services.shareAddress(ip));
    const [clientFd, targetFd] = descriptors;
    if (known === undefined || descriptors.length !== DESCRIPTORS[known.kind] || clientFd === undefined) return false;
    const client = adopt(clientFd);
    if (known.kind === "client") void resumeConnection(client, known, this.#services);
    else if (targetFd !== undefined) this.#carryOn(known, client, adopt(targetFd));
    return true;
  }

  #carryOn(state: TunnelState, client: Conn, target: Conn): void {
    const services = this.#services;
    const { before } = state;
    const listener = share(this.#listeners, state.listener, (name) => ({ name }));
    const connection = new MovedConnection(state, listener, services);
    const record = connection.takeRecord(state, this.#useRuntime());
    const { rule, reported } = state;
    if (rule !== undefined)
      record.decision = reported === undefined ? share(this.#decisions, rule, allow) : { ...allow(rule), reported };
    if (state.route !== undefined) record.route = share(this.#routes, state.route, (name) => ({ name, hops: [] }));
    const hold = services.bandwidths.enter(record, true);
    record.bandwidth = hold;
    const { target: asked } = record;
    if (state.carriage !== undefined)
      record.carriage = new MovedCarriage(state.carriage, services.pools, (by) =>
        asked === undefined ? undefined : findAffinity({ requester: record, target: asked }, by),
      );
    const tunnel = services.tunnel(client, target, {
      idleMs: record.runtime.timeouts.idleMs,
      owner: connection,
      traffic: services.traffic,
      upBudget: hold?.up,
      downBudget: hold?.down,
      before,
      tappedLater: isUnseen(state) && record.runtime.inspect.tls,
      observers: services.captures.observers(record),
    });
    services.recorder.received(record, tunnel, before);
  }

  /** An equal snapshot, but not the same: those of the same one are not judged again at a reload that ends what is denied. */
  #useRuntime(): Runtime {
    const { current } = this.#services.runtime;
    if (this.#unjudged?.of !== current) this.#unjudged = { of: current, copy: { ...current } };
    return this.#unjudged.copy;
  }
}

/** What is left of a decision: the tunnel is open, and only its rule is recorded. */
function allow(rule: string): AllowDecision {
  return { verdict: "allow", rule, allowPrivate: false, via: [] };
}

function share<Value>(known: Map<string, Value>, name: string, make: (name: string) => Value): Value {
  let value = known.get(name);
  if (value === undefined) {
    value = make(name);
    known.set(name, value);
  }
  return value;
}

/** Whether the tunnel was to be looked into, and its client has not said anything yet. */
function isUnseen({ facts: { inside, scheme }, before: { up, upRest } }: TunnelState): boolean {
  return inside !== undefined && scheme === undefined && up + (upRest?.length ?? 0) === 0;
}

/** The connection of a tunnel that came from elsewhere: its slots, and its one end. */
class MovedConnection implements RecordedConnection, TunnelOwner {
  readonly client: Ip;
  readonly clientPort: number;
  readonly certificate = undefined;
  readonly listener: RecordedConnection["listener"];
  readonly services: RecordedConnection["services"];
  readonly #gate: Pick<ConnectionServices, "admission" | "requestLimits" | "recorder" | "clientProfiles">;
  #record: RequestRecord | undefined;

  constructor(
    { client, clientPort, id }: TunnelState,
    listener: RecordedConnection["listener"],
    gate: Pick<ConnectionServices, "admission" | "requestLimits" | "recorder" | "clientProfiles">,
  ) {
    this.client = client;
    this.clientPort = clientPort;
    this.listener = listener;
    // A tunnel keeps the id that it has got elsewhere.
    this.services = { ids: { next: () => 0, format: () => id } };
    this.#gate = gate;
  }

  /** Restores the record, and takes the slots. */
  takeRecord({ facts }: TunnelState, runtime: Runtime): RequestRecord {
    const { startedAt, acceptedAt, stageMs, ...others } = facts;
    const record = new RequestRecord(this, runtime, { startedAt, acceptedAt });
    Object.assign(record.stageMs, stageMs);
    Object.assign(record, others);
    record.stage = "tunnel";
    this.#gate.admission.readmit(this.client, record.user, runtime);
    record.targetSlot = this.#gate.requestLimits.readmitTarget(record.target, runtime.limits);
    this.#record = record;
    return record;
  }

  makeTap(): TunnelTap | undefined {
    return this.#record && tapTunnel(this.#record, this.#gate.clientProfiles);
  }

  tunnelOver(result: TunnelResult): void {
    const record = this.#leave();
    if (record === undefined) return;
    noteTunnelEnd(record, result);
    record.isWritten = true;
    this.#gate.recorder.finished(record);
    this.#gate.recorder.closed(record);
  }

  tunnelTaken(): void {
    const record = this.#leave();
    if (record === undefined) return;
    record.isWritten = true;
    this.#gate.recorder.gaveAway(record);
  }

  /** Gives the slots back, once. */
  #leave(): RequestRecord | undefined {
    const record = this.#record;
    this.#record = undefined;
    if (record === undefined) return undefined;
    record.carriage?.release();
    record.targetSlot?.release();
    record.bandwidth?.release();
    this.#gate.admission.leaveUser(record.user, record.runtime);
    this.#gate.admission.leaveClient(this.client, record.runtime);
    return record;
  }
}
