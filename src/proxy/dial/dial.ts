import type { Endpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import { type Ip, parseIp } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { type Connect, connectTcp } from "../../net/runtime/connect.ts";
import type { Lookups, Resolver } from "../../net/dns/resolver.ts";
import { fail, type Failure, type Outcome, succeed } from "../failure.ts";
import type { Grant } from "../policy/authorize.ts";
import { guardAddress, isLocalhostName, type OwnListeners } from "../policy/guard.ts";
import type { AllowDecision } from "../policy/policy.ts";
import type { Hop, Route } from "../route/route.ts";
import type { Runtime } from "../runtime.ts";
import { askFamilies, groupByFamily } from "../resolve/ask-addresses.ts";
import {
  type Connected,
  type DialledAddress,
  type Questions,
  raceConnect,
  type RacePace,
  RFC_8305_PACE,
} from "./connect-race.ts";
import { DialLimit } from "./dial-limit.ts";
import { dialStraight } from "./dial-straight.ts";
import { type HopLeg, say } from "./hop-leg.ts";
import { introduceClient, type Introduced } from "./introduce-client.ts";
import { type Opened, openTunnel } from "./open-tunnel.ts";
import { lookUpHost, resolveHost } from "../resolve/resolve-host.ts";
import { secureConn } from "./secure-conn.ts";
import { secureLeg } from "./secure-leg.ts";

export interface DialServices {
  readonly resolver: Resolver;
  readonly own: OwnListeners;
  /** How sockets are connected; over TCP when absent. */
  readonly connect?: Connect;
  /** The delays of Happy Eyeballs; those of RFC 8305 when absent. */
  readonly pace?: RacePace;
}

/** What a dial is to lead to, when that is not a tunnel to the target. */
export interface DialWish {
  /** The last upstream takes requests itself and is not asked for a tunnel. */
  readonly endAtUpstream?: boolean;
  /** Speak TLS to the target, and verify it: by these roots, PEM texts, or the ones that come with the program. */
  readonly tls?: { readonly ca?: readonly string[] };
}

/** Whom a dial is for: the client's address and port, and the snapshot that its request captured. */
export interface DialRequester extends Introduced {
  readonly runtime: { readonly timeouts: Pick<Runtime["timeouts"], "connectMs"> } & Partial<Pick<Runtime, "nat64">>;
}

export interface DialRequest {
  readonly requester: DialRequester;
  /** The connection whose closing ends the dial. */
  readonly client: Conn | undefined;
  readonly target: Endpoint;
  readonly route: Route;
  readonly grant: Grant;
  /** A tunnel to the target when absent. */
  readonly wish?: DialWish;
}

/** A connection that leads to the target. */
export interface Dialled extends Connected {
  /** The decision that holds for the dialled address: addresses of one name can have different ones. */
  readonly decision: AllowDecision;
}

/** A failure, with what was reached before it. */
export interface DialFailure {
  readonly ok: false;
  readonly failure: Failure;
  readonly address?: DialledAddress;
  readonly decision?: AllowDecision;
}

export type DialOutcome = { readonly ok: true; readonly value: Dialled } | DialFailure;

/**
 * Connects to a target along its route: resolves, lets no address pass that must
 * not be dialled, and dials the very addresses that passed. All of it within what
 * is left of `connectMs`, and only as long as `client` is open.
 */
export function dial(request: DialRequest, services: DialServices): DialOutcome | Promise<DialOutcome> {
  const { requester, client, target, route, grant, wish } = request;
  const ip = wish?.tls === undefined ? findOnlyAddress(target, route, grant) : undefined;
  if (ip === undefined) return dialAtLength(request, services);
  const { decision, spentMs = 0 } = grant;
  const refusal = guardAddress(ip, target.port, decision, services.own, requester.runtime.nat64);
  if (refusal !== undefined) return { ok: false, failure: refusal };
  const connected = dialStraight(
    { ip, port: target.port },
    {
      client,
      ms: requester.runtime.timeouts.connectMs - spentMs,
      source: findSource(route),
      connect: services.connect ?? connectTcp,
    },
  );
  return connected instanceof Promise
    ? connected.then((late) => addDecision(late, decision))
    : addDecision(connected, decision);
}

function addDecision(connected: Outcome<Connected>, decision: AllowDecision): DialOutcome {
  return connected.ok ? succeed({ ...connected.value, decision }) : connected;
}

/** The address to connect to, when it is known to be the only one and nothing is to be said there before the client speaks. */
function findOnlyAddress({ host }: Endpoint, { hops }: Route, { addresses, late, decision }: Grant): Ip | undefined {
  if (hops.length > 0 || decision.proxyProtocol !== undefined || late !== undefined) return undefined;
  if (addresses !== undefined) return addresses.length === 1 ? addresses[0] : undefined;
  return host.kind === "ip" ? host.ip : undefined;
}

function findSource({ sourceAddress }: Route): Ip | undefined {
  return sourceAddress === undefined ? undefined : parseIp(sourceAddress);
}

async function dialAtLength(request: DialRequest, services: DialServices): Promise<DialOutcome> {
  const { requester, client, grant } = request;
  const limit = new DialLimit(requester.runtime.timeouts.connectMs - (grant.spentMs ?? 0), client);
  try {
    return await new Dial(request, services, limit).run();
  } finally {
    limit.release();
    grant.lookups?.release();
  }
}

class Dial {
  readonly #requester: DialRequester;
  readonly #client: Conn | undefined;
  readonly #target: Endpoint;
  readonly #route: Route;
  readonly #grant: Grant;
  readonly #wish: DialWish | undefined;
  readonly #services: DialServices;
  readonly #limit: DialLimit;
  /** The address that was dialled last: of the target, or of the first hop. */
  #address: DialledAddress | undefined;
  #decision: AllowDecision;

  constructor(request: DialRequest, services: DialServices, limit: DialLimit) {
    this.#requester = request.requester;
    this.#client = request.client;
    this.#target = request.target;
    this.#route = request.route;
    this.#grant = request.grant;
    this.#wish = request.wish;
    this.#services = services;
    this.#limit = limit;
    this.#decision = request.grant.decision;
  }

  async run(): Promise<DialOutcome> {
    const opened = await this.#open();
    const address = this.#address;
    const decision = this.#decision;
    if (opened.ok && address !== undefined) return succeed({ conn: opened.value, address, decision });
    if (opened.ok) throw new Error("A connection without an address was dialled");
    return { ok: false, failure: opened.failure, decision, ...(address && { address }) };
  }

  async #open(): Promise<Outcome<Conn>> {
    const wish = this.#wish;
    const reached = await (this.#route.hops.length === 0
      ? this.#goDirectly()
      : this.#goThroughHops(wish?.endAtUpstream === true));
    const opened = reached.ok && wish?.tls !== undefined ? await this.#secure(reached.value, wish.tls) : reached;
    if (!opened.ok || this.#limit.over !== "client_gone") return opened;
    opened.value.reset();
    return fail("client_gone");
  }

  /** TLS to the target itself, whatever leads there. */
  async #secure(conn: Conn, { ca }: NonNullable<DialWish["tls"]>): Promise<Outcome<Conn>> {
    const options = { serverName: this.#target.host.text, ...(ca && { ca }) };
    const secured = await secureConn(conn, options, this.#limit);
    if (!secured.ok) conn.reset();
    return secured;
  }

  async #goDirectly(): Promise<Outcome<Conn>> {
    const { addresses, late, decision } = this.#grant;
    const { port } = this.#target;
    const guard = (ip: Ip): Failure | undefined => this.#guard(ip);
    const connected =
      addresses === undefined
        ? await this.#connectTo(this.#lookUpTarget(), port, guard)
        : await this.#connect([...groupByFamily(addresses), ...(late ? [late] : [])], port, guard);
    if (!connected.ok) return connected;
    const { conn, address } = connected.value;
    this.#decision = this.#findDecision(address.ip);
    if (decision.proxyProtocol === undefined) return succeed(conn);
    const header = introduceClient(decision.proxyProtocol, this.#requester, this.#client);
    if (conn.write(header) === header.length) return succeed(conn);
    conn.reset();
    return fail("connection_reset", { note: "closed before it was told of the client" });
  }

  async #goThroughHops(endAtLast: boolean): Promise<Outcome<Conn>> {
    const refusal = this.#guardUnresolved();
    if (refusal !== undefined) return { ok: false, failure: refusal };
    // An upstream may want to be asked on another connection than the one on which it said so: once.
    const patience = new Set(this.#route.hops);
    for (;;) {
      const connected = await this.#connectFirst();
      if (!connected.ok) return connected;
      const passed = await this.#passHops(connected.value.conn, endAtLast);
      if (passed.ok || passed.again === undefined || this.#limit.over !== undefined) return passed;
      if (!patience.delete(passed.again)) return passed;
    }
  }

  async #connectFirst(): Promise<Outcome<Connected>> {
    const [first] = this.#route.hops;
    if (first === undefined) throw new Error("A route through hops has no hop");
    const { host, port } = first.endpoint;
    const connected = await this.#connectTo(lookUpHost(host, this.#services.resolver), port, (ip) =>
      this.#services.own.has(ip, port) ? fail("proxy_loop", { note: `upstream ${first.name}` }).failure : undefined,
    );
    return connected.ok ? connected : { ok: false, failure: { ...connected.failure, nextHop: first.name } };
  }

  /** Asks each hop for a tunnel to the next one, and the last one for a tunnel to the target unless the route ends there. */
  async #passHops(first: Conn, endAtLast: boolean): Promise<Opened> {
    const { hops } = this.#route;
    let conn = first;
    try {
      for (const [index, hop] of hops.entries()) {
        const opened = await this.#passHop({ conn, hop, limit: this.#limit }, hops[index + 1], endAtLast);
        if (!opened.ok) {
          conn.reset();
          return opened;
        }
        conn = opened.value;
      }
    } catch (error) {
      conn.reset();
      throw error;
    }
    return succeed(conn);
  }

  async #passHop(leg: HopLeg, next: Hop | undefined, endAtLast: boolean): Promise<Opened> {
    if (leg.hop.proxyProtocol !== undefined) {
      const said = say(leg, introduceClient(leg.hop.proxyProtocol, this.#requester, this.#client));
      if (!said.ok) return said;
    }
    if (next === undefined && endAtLast) return leg.hop.kind === "https" ? secureLeg(leg) : succeed(leg.conn);
    const destination = await this.#choose(leg.hop, next);
    return destination.ok ? openTunnel(leg, destination.value) : destination;
  }

  /** What `hop` is asked to connect to: the endpoint of `next`, or the target when it is the last. */
  async #choose(hop: Hop, next: Hop | undefined): Promise<Outcome<Endpoint>> {
    const { host, port } = next?.endpoint ?? this.#target;
    const fixed = next === undefined && this.#grant.narrowed === true ? this.#grant.addresses : undefined;
    if (host.kind === "ip" || (hop.kind !== "socks5" && fixed === undefined)) return succeed({ host, port });

    const resolved =
      fixed === undefined
        ? await resolveHost(host, this.#services.resolver, this.#limit, this.#requester.client)
        : succeed(fixed);
    if (!resolved.ok)
      return next === undefined ? resolved : { ok: false, failure: { ...resolved.failure, nextHop: next.name } };
    const refusals = next === undefined ? resolved.value.map((ip) => this.#guard(ip)) : [];
    const allowed = resolved.value.filter((_, index) => refusals[index] === undefined);
    // One try is all there is, and what every upstream can reach is IPv4.
    const ip = allowed.find(({ family }) => family === 4) ?? allowed[0];
    if (ip !== undefined) return succeed({ host: hostFromIp(ip), port });
    return { ok: false, failure: refusals.find((refusal) => refusal !== undefined) ?? { detail: "dns_error" } };
  }

  /** The answer that was judged, or one that is asked for now. */
  #lookUpTarget(): Lookups {
    const { lookups } = this.#grant;
    return lookups ?? lookUpHost(this.#target.host, this.#services.resolver, this.#requester.client);
  }

  async #connectTo(
    lookups: Lookups,
    port: number,
    refuse: (ip: Ip) => Failure | undefined,
  ): Promise<Outcome<Connected>> {
    const connected = await this.#connect(askFamilies(lookups), port, refuse);
    lookups.release();
    return connected;
  }

  async #connect(
    questions: Questions,
    port: number,
    refuse: (ip: Ip) => Failure | undefined,
  ): Promise<Outcome<Connected>> {
    const { connect = connectTcp, pace = RFC_8305_PACE } = this.#services;
    const source = findSource(this.#route);
    const outcome = await raceConnect(questions, { port, source, refuse, connect, limit: this.#limit, pace });
    if (outcome.ok) this.#address = outcome.value.address;
    return outcome;
  }

  #guard(ip: Ip): Failure | undefined {
    const { port } = this.#target;
    return guardAddress(ip, port, this.#findDecision(ip), this.#services.own, this.#requester.runtime.nat64);
  }

  #findDecision(ip: Ip): AllowDecision {
    return this.#grant.decisions?.get(ip.text) ?? this.#grant.decision;
  }

  /** What can be said of a target that an upstream will resolve. */
  #guardUnresolved(): Failure | undefined {
    const { host } = this.#target;
    if (host.kind === "ip") return this.#guard(host.ip);
    if (!isLocalhostName(host.text) || this.#grant.decision.allowPrivate) return undefined;
    return fail("address_prohibited", { note: `${host.text} is loopback` }).failure;
  }
}
