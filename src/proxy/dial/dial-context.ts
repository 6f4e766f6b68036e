import type { ClientPrefix } from "../../address/client-key.ts";
import type { Endpoint } from "../../address/endpoint.ts";
import { type Ip, parseIp } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import type { TimeLimit } from "../../net/conn/time-limit.ts";
import type { Resolver } from "../../net/dns/resolver.ts";
import { type Connect, connectTcp } from "../../net/runtime/connect.ts";
import type { Failure, Outcome } from "../failure.ts";
import type { HookReport } from "../hook/call-hook.ts";
import type { AllowDecision, Grant } from "../policy/decision.ts";
import { guardAddress, type OwnListeners } from "../policy/guard.ts";
import type { Nat64Prefixes } from "../policy/nat64.ts";
import type { Route } from "../route/route.ts";
import type { NamedRequester } from "../route/user-template.ts";
import type { Pools } from "../upstream/pools.ts";
import type { Upstreams } from "../upstream/upstreams.ts";
import { type Connected, type Questions, raceConnect, type RacePace, RFC_8305_PACE } from "./connect-race.ts";
import type { Introduced } from "./introduce-client.ts";
import type { TraceScope, TraceStep } from "../trace/request-trace.ts";

export interface DialServices {
  readonly resolver: Resolver;
  readonly own: OwnListeners;
  readonly upstreams: Upstreams;
  readonly pools: Pools;
  /** How sockets are connected; over TCP when absent. */
  readonly connect?: Connect;
  /** Reports a failed function of the configuration to the operator. */
  reportHook?(report: HookReport): void;
  /** The delays of Happy Eyeballs; those of RFC 8305 when absent. */
  readonly pace?: RacePace;
}

/** Whom a dial is for: the client's address and port, its user, and the snapshot that its request captured. */
export interface DialRequester extends Introduced, NamedRequester {
  /** Undefined when its request is not traced. */
  readonly trace?: TraceScope | undefined;
  readonly runtime: {
    readonly timeouts: { readonly connectMs: number; readonly hookMs?: number };
    readonly limits?: { readonly clientPrefix: ClientPrefix };
    readonly nat64?: Nat64Prefixes;
  };
}

/** What a dial leads to, when that is not a tunnel to the target. */
export interface DialWish {
  /** The last upstream takes requests itself and is not asked for a tunnel. */
  readonly endAtUpstream?: boolean;
  /** Speak TLS to the target and verify it against these roots (PEM texts), or the bundled ones when absent. */
  readonly tls?: { readonly ca?: readonly string[] };
}

export interface DialRequest {
  readonly requester: DialRequester;
  /** The connection whose closing ends the dial. */
  readonly client: Conn | undefined;
  /** False beside another try of the request, which watches the client already. */
  readonly watchesClient?: false;
  readonly target: Endpoint;
  readonly route: Route;
  readonly grant: Grant;
  /** A tunnel to the target when absent. */
  readonly wish?: DialWish;
  /** The step of a traced request that it is a part of; the stage itself when absent. */
  readonly step?: TraceStep | undefined;
}

/** What all steps of one dial share. */
export class DialContext {
  readonly request: DialRequest;
  readonly services: DialServices;
  readonly limit: TimeLimit;
  /** The hop that is being passed, of a traced request. */
  step: TraceStep | undefined = undefined;

  constructor(request: DialRequest, services: DialServices, limit: TimeLimit) {
    this.request = request;
    this.services = services;
    this.limit = limit;
  }

  /** Where the steps of the dial begin; undefined when its request is not traced. */
  get trace(): TraceScope | undefined {
    return this.request.step ?? this.request.requester.trace;
  }

  /** Connects to the first address that answers and is not refused. */
  connect(questions: Questions, port: number, refuse: (ip: Ip) => Failure | undefined): Promise<Outcome<Connected>> {
    const { connect = connectTcp, pace = RFC_8305_PACE } = this.services;
    const { sourceAddress } = this.request.route;
    const source = sourceAddress === undefined ? undefined : parseIp(sourceAddress);
    const trace = this.step ?? this.trace;
    return raceConnect(questions, { port, source, refuse, connect, limit: this.limit, pace, trace });
  }

  /** Says why an address of the target must not be dialled, or undefined when it may. */
  guard(ip: Ip): Failure | undefined {
    const { target, requester } = this.request;
    const { nat64 } = requester.runtime;
    return guardAddress(ip, target.port, this.findDecision(ip), { own: this.services.own, nat64 });
  }

  /** The decision about an address of the target. */
  findDecision(ip: Ip): AllowDecision {
    const { decisions, decision } = this.request.grant;
    return decisions?.get(ip.text) ?? decision;
  }
}
