import type { Endpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import { type Ip, parseIp } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { type Connect, connectTcp } from "../../net/runtime/connect.ts";
import type { Lookups, Resolver } from "../../net/dns/resolver.ts";
import { fail, type Failure, type Outcome, succeed } from "../failure.ts";
import type { Authorized } from "../policy/authorize.ts";
import { guardAddress, isLocalhostName, type OwnListeners } from "../policy/guard.ts";
import type { AllowDecision, Decision } from "../policy/policy.ts";
import type { Hop, Route } from "../route/route.ts";
import type { Runtime } from "../runtime.ts";
import type { DialledAddress } from "../session.ts";
import { askFamilies, groupByFamily } from "../resolve/ask-addresses.ts";
import { type Questions, raceConnect, type RacePace, RFC_8305_PACE } from "./connect-race.ts";
import { DialLimit } from "./dial-limit.ts";
import { type Dialled, dialStraight } from "./dial-straight.ts";
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

const TUNNEL: DialWish = {};

/** What of a session the dial needs, and where it is written down. */
export interface DialSession extends Introduced {
  readonly runtime: { readonly timeouts: Pick<Runtime["timeouts"], "connectMs"> } & Partial<Pick<Runtime, "nat64">>;
  readonly target: Endpoint | undefined;
  dialled: DialledAddress | undefined;
  /** That of the address that was dialled, where addresses have different ones. */
  decision?: Decision | undefined;
}

/**
 * Connects to the target of a session along `route`: resolves, lets no address
 * pass that must not be dialled, and dials the very addresses that passed. All
 * of it within what is left of `connectMs`, and only as long as `client` is there.
 */
export function dial(
  session: DialSession,
  client: Conn | undefined,
  route: Route,
  authorized: Authorized,
  services: DialServices,
  wish: DialWish = TUNNEL,
): Outcome<Dialled> | Promise<Outcome<Dialled>> {
  const { target } = session;
  if (target === undefined) throw new Error("A session without a target cannot be dialled");
  const ip = wish.tls === undefined ? findOnlyAddress(target, route, authorized) : undefined;
  if (ip === undefined) return dialAtLength(session, client, target, route, authorized, services, wish);
  const { decision, spentMs = 0 } = authorized;
  const refusal = guardAddress(ip, target.port, decision, services.own, session.runtime.nat64);
  if (refusal !== undefined) return { ok: false, failure: refusal };
  const source = findSource(route);
  return dialStraight(session, client, { ip, port: target.port }, source, services.connect ?? connectTcp, spentMs);
}

/** The address to connect to, when it is known to be the only one and nothing is to be said there before the client speaks. */
function findOnlyAddress(
  { host }: Endpoint,
  { hops }: Route,
  { addresses, late, decision }: Authorized,
): Ip | undefined {
  if (hops.length > 0 || decision.proxyProtocol !== undefined || late !== undefined) return undefined;
  if (addresses !== undefined) return addresses.length === 1 ? addresses[0] : undefined;
  return host.kind === "ip" ? host.ip : undefined;
}

function findSource({ sourceAddress }: Route): Ip | undefined {
  return sourceAddress === undefined ? undefined : parseIp(sourceAddress);
}

async function dialAtLength(
  session: DialSession,
  client: Conn | undefined,
  target: Endpoint,
  route: Route,
  authorized: Authorized,
  services: DialServices,
  wish: DialWish,
): Promise<Outcome<Dialled>> {
  const limit = new DialLimit(session.runtime.timeouts.connectMs - (authorized.spentMs ?? 0), client);
  try {
    const way = new Way(session, client, target, route, authorized, services, limit);
    const reached = await (route.hops.length === 0 ? way.goDirectly() : way.goThroughHops(wish.endAtUpstream === true));
    const outcome =
      reached.ok && wish.tls !== undefined ? await secureTarget(reached.value, target, wish.tls, limit) : reached;
    if (outcome.ok && limit.over === "client_gone") {
      outcome.value.conn.reset();
      return fail("client_gone");
    }
    return outcome;
  } finally {
    limit.release();
    authorized.lookups?.release();
  }
}

/** TLS to the target itself, whatever leads there. */
async function secureTarget(
  { conn, address }: Dialled,
  { host }: Endpoint,
  { ca }: NonNullable<DialWish["tls"]>,
  limit: DialLimit,
): Promise<Outcome<Dialled>> {
  const secured = await secureConn(conn, { serverName: host.text, ...(ca && { ca }) }, limit);
  if (secured.ok) return succeed({ conn: secured.value, address });
  conn.reset();
  return secured;
}

/** All hops are passed; or why not, and whether it is worth dialling `again`. */
type Passed = { readonly ok: true; readonly value: Dialled } | Extract<Opened, { ok: false }>;

class Way {
  readonly #session: DialSession;
  readonly #client: Conn | undefined;
  readonly #target: Endpoint;
  readonly #route: Route;
  readonly #authorized: Authorized;
  readonly #services: DialServices;
  readonly #limit: DialLimit;

  constructor(
    session: DialSession,
    client: Conn | undefined,
    target: Endpoint,
    route: Route,
    authorized: Authorized,
    services: DialServices,
    limit: DialLimit,
  ) {
    this.#session = session;
    this.#client = client;
    this.#target = target;
    this.#route = route;
    this.#authorized = authorized;
    this.#services = services;
    this.#limit = limit;
  }

  async goDirectly(): Promise<Outcome<Dialled>> {
    const { addresses, late, decision } = this.#authorized;
    const { port } = this.#target;
    const guard = (ip: Ip): Failure | undefined => this.#guard(ip);
    const connected =
      addresses === undefined
        ? await this.#connectTo(this.#lookUpTarget(), port, guard)
        : await this.#connect([...groupByFamily(addresses), ...(late ? [late] : [])], port, guard);
    if (!connected.ok) return connected;
    const judged = this.#findDecision(connected.value.address.ip);
    if (judged !== decision) this.#session.decision = judged;
    if (decision.proxyProtocol === undefined) return connected;
    const { conn } = connected.value;
    const header = introduceClient(decision.proxyProtocol, this.#session, this.#client);
    if (conn.write(header) === header.length) return connected;
    conn.reset();
    return fail("connection_reset", { note: "closed before it was told of the client" });
  }

  async goThroughHops(endAtLast: boolean): Promise<Outcome<Dialled>> {
    const refusal = this.#guardUnresolved();
    if (refusal !== undefined) return { ok: false, failure: refusal };
    // An upstream may want to be asked on another connection than the one on which it said so: once.
    const patience = new Set(this.#route.hops);
    for (;;) {
      const connected = await this.#connectFirst();
      if (!connected.ok) return connected;
      const passed = await this.#passHops(connected.value, endAtLast);
      if (passed.ok || passed.again === undefined || this.#limit.over !== undefined) return passed;
      if (!patience.delete(passed.again)) return passed;
    }
  }

  async #connectFirst(): Promise<Outcome<Dialled>> {
    const [first] = this.#route.hops;
    if (first === undefined) throw new Error("A route through hops has no hop");
    const { host, port } = first.endpoint;
    const connected = await this.#connectTo(lookUpHost(host, this.#services.resolver), port, (ip) =>
      this.#services.own.has(ip, port) ? fail("proxy_loop", { note: `upstream ${first.name}` }).failure : undefined,
    );
    return connected.ok ? connected : { ok: false, failure: { ...connected.failure, nextHop: first.name } };
  }

  /** Asks each hop for a tunnel to the next one, and the last one for a tunnel to the target unless the way ends there. */
  async #passHops({ conn: socket, address }: Dialled, endAtLast: boolean): Promise<Passed> {
    const { hops } = this.#route;
    let conn = socket;
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
    return { ok: true, value: { conn, address } };
  }

  async #passHop(leg: HopLeg, next: Hop | undefined, endAtLast: boolean): Promise<Opened> {
    if (leg.hop.proxyProtocol !== undefined) {
      const said = say(leg, introduceClient(leg.hop.proxyProtocol, this.#session, this.#client));
      if (!said.ok) return said;
    }
    if (next === undefined && endAtLast) return leg.hop.kind === "https" ? secureLeg(leg) : succeed(leg.conn);
    const destination = await this.#choose(leg.hop, next);
    return destination.ok ? openTunnel(leg, destination.value) : destination;
  }

  /** What `hop` is asked to connect to: the endpoint of `next`, or the target when it is the last. */
  async #choose(hop: Hop, next: Hop | undefined): Promise<Outcome<Endpoint>> {
    const { host, port } = next?.endpoint ?? this.#target;
    const fixed = next === undefined && this.#authorized.narrowed === true ? this.#authorized.addresses : undefined;
    if (host.kind === "ip" || (hop.kind !== "socks5" && fixed === undefined)) return succeed({ host, port });

    const resolved =
      fixed === undefined
        ? await resolveHost(host, this.#services.resolver, this.#limit, this.#session.client)
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
    const { lookups } = this.#authorized;
    return lookups ?? lookUpHost(this.#target.host, this.#services.resolver, this.#session.client);
  }

  async #connectTo(lookups: Lookups, port: number, refuse: (ip: Ip) => Failure | undefined): Promise<Outcome<Dialled>> {
    const connected = await this.#connect(askFamilies(lookups), port, refuse);
    lookups.release();
    return connected;
  }

  async #connect(
    questions: Questions,
    port: number,
    refuse: (ip: Ip) => Failure | undefined,
  ): Promise<Outcome<Dialled>> {
    const { connect = connectTcp, pace = RFC_8305_PACE } = this.#services;
    const source = findSource(this.#route);
    const outcome = await raceConnect(questions, { port, source, refuse, connect, limit: this.#limit, pace });
    if (!outcome.ok) return outcome;
    const address = { ip: outcome.value.ip, port };
    this.#session.dialled = address;
    return succeed({ conn: outcome.value.conn, address });
  }

  #guard(ip: Ip): Failure | undefined {
    const { port } = this.#target;
    return guardAddress(ip, port, this.#findDecision(ip), this.#services.own, this.#session.runtime.nat64);
  }

  #findDecision(ip: Ip): AllowDecision {
    return this.#authorized.decisions?.get(ip.text) ?? this.#authorized.decision;
  }

  /** What can be said of a target that an upstream will resolve. */
  #guardUnresolved(): Failure | undefined {
    const { host } = this.#target;
    if (host.kind === "ip") return this.#guard(host.ip);
    if (!isLocalhostName(host.text) || this.#authorized.decision.allowPrivate) return undefined;
    return fail("address_prohibited", { note: `${host.text} is loopback` }).failure;
  }
}
