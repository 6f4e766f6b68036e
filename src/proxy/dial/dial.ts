import type { Endpoint } from "../../address/endpoint.ts";
import { hostFromIp } from "../../address/host.ts";
import { type Ip, parseIp } from "../../address/ip.ts";
import type { Conn } from "../../net/conn/conn.ts";
import { type Connect, connectTcp } from "../../net/runtime/connect.ts";
import type { Resolver } from "../../net/dns/resolver.ts";
import { fail, type Failure, type Outcome, succeed } from "../failure.ts";
import { guardAddress, type OwnListeners } from "../policy/guard.ts";
import type { Hop, Route } from "../route/route.ts";
import type { Nat64Prefixes } from "../policy/nat64.ts";
import { say } from "./hop-leg.ts";
import { introduceClient, type Introduced } from "./introduce-client.ts";
import { type Opened, openTunnel, secureLeg } from "./open-tunnel.ts";
import { secureConn } from "./secure-conn.ts";
import { isLocalhostName, lookUpHost, resolveHost } from "../resolve/resolve-host.ts";
import {
  answerWith,
  askFamilies,
  type Connected,
  type DialledAddress,
  type Questions,
  raceConnect,
  type RacePace,
  RFC_8305_PACE,
} from "./connect-race.ts";
import { TimeLimit } from "../../net/conn/time-limit.ts";
import type { AllowDecision, Grant } from "../policy/decision.ts";

export interface DialServices {
  readonly resolver: Resolver;
  readonly own: OwnListeners;
  /** How sockets are connected; over TCP when absent. */
  readonly connect?: Connect;
  /** The delays of Happy Eyeballs; those of RFC 8305 when absent. */
  readonly pace?: RacePace;
}

/** What a dial leads to, when that is not a tunnel to the target. */
export interface DialWish {
  /** The last upstream takes requests itself and is not asked for a tunnel. */
  readonly endAtUpstream?: boolean;
  /** Speak TLS to the target, and verify it: by these roots, PEM texts, or the ones that come with the program. */
  readonly tls?: { readonly ca?: readonly string[] };
}

/** Whom a dial is for: the client's address and port, and the snapshot that its request captured. */
export interface DialRequester extends Introduced {
  readonly runtime: { readonly timeouts: { readonly connectMs: number }; readonly nat64?: Nat64Prefixes };
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
export function dial(request: DialRequest, services: DialServices): Promise<DialOutcome> {
  return new Dial(request, services).run();
}

class Dial {
  readonly #request: DialRequest;
  readonly #services: DialServices;
  readonly #limit: TimeLimit;
  /** The address that was dialled last: of the target, or of the first hop. */
  #address: DialledAddress | undefined;
  #decision: AllowDecision;

  constructor(request: DialRequest, services: DialServices) {
    const { requester, client, grant } = request;
    this.#request = request;
    this.#services = services;
    this.#limit = new TimeLimit(requester.runtime.timeouts.connectMs - (grant.spentMs ?? 0), client);
    this.#decision = grant.decision;
  }

  async run(): Promise<DialOutcome> {
    const { route, grant, wish } = this.#request;
    try {
      const reached =
        route.hops.length === 0 ? this.#introduce(await this.#connectTarget()) : await this.#passHops(route.hops);
      const opened = reached.ok && wish?.tls !== undefined ? await this.#secure(reached.value, wish.tls) : reached;
      return this.#conclude(opened);
    } finally {
      this.#limit.release();
      grant.lookups?.release();
    }
  }

  #conclude(opened: Outcome<Conn>): DialOutcome {
    const address = this.#address;
    const decision = this.#decision;
    if (!opened.ok) return { ok: false, failure: opened.failure, decision, ...(address && { address }) };
    if (address === undefined) throw new Error("A connection without an address was dialled");
    if (this.#limit.over !== "client_gone") return succeed({ conn: opened.value, address, decision });
    opened.value.reset();
    return fail("client_gone");
  }

  /** TLS to the target itself, whatever leads there. */
  async #secure(conn: Conn, { ca }: NonNullable<DialWish["tls"]>): Promise<Outcome<Conn>> {
    const options = { serverName: this.#request.target.host.text, ...(ca && { ca }) };
    const secured = await secureConn(conn, options, this.#limit);
    if (!secured.ok) conn.reset();
    return secured;
  }

  #connectTarget(): Promise<Outcome<Connected>> {
    const { target, grant, requester } = this.#request;
    const { host, port } = target;
    const { late, lookups } = grant;
    const addresses = grant.addresses ?? (host.kind === "ip" ? [host.ip] : undefined);
    const questions =
      addresses === undefined
        ? askFamilies(lookups ?? lookUpHost(host, this.#services.resolver, requester.client))
        : answerWith(addresses);
    return this.#connect(late === undefined ? questions : [...questions, late], port, (ip) => this.#guard(ip));
  }

  /** Sends the PROXY header, when the target is to get one. */
  #introduce(connected: Outcome<Connected>): Outcome<Conn> {
    if (!connected.ok) return connected;
    const { conn, address } = connected.value;
    const { requester, client } = this.#request;
    this.#address = address;
    this.#decision = this.#findDecision(address.ip);
    const { proxyProtocol } = this.#decision;
    if (proxyProtocol === undefined) return succeed(conn);
    const header = introduceClient(proxyProtocol, requester, client);
    if (conn.write(header) === header.length) return succeed(conn);
    conn.reset();
    return fail("connection_reset", { note: "closed before it was told of the client" });
  }

  async #passHops(hops: readonly Hop[]): Promise<Outcome<Conn>> {
    const refusal = this.#guardUnresolved();
    if (refusal !== undefined) return { ok: false, failure: refusal };
    // An upstream may require another connection than the one on which it asked for credentials: once.
    const patience = new Set(hops);
    for (;;) {
      const connected = await this.#connectFirst(hops[0] as Hop);
      if (!connected.ok) return connected;
      const passed = await this.#askHops(hops, connected.value.conn);
      if (passed.ok || passed.again === undefined || this.#limit.over !== undefined) return passed;
      if (!patience.delete(passed.again)) return passed;
    }
  }

  async #connectFirst({ name, endpoint: { host, port } }: Hop): Promise<Outcome<Connected>> {
    const { resolver, own } = this.#services;
    const lookups = lookUpHost(host, resolver);
    const connected = await this.#connect(askFamilies(lookups), port, (ip) =>
      own.has(ip, port) ? fail("proxy_loop", { note: `upstream ${name}` }).failure : undefined,
    );
    lookups.release();
    if (!connected.ok) return { ok: false, failure: { ...connected.failure, nextHop: name } };
    this.#address = connected.value.address;
    return connected;
  }

  /** Asks each hop for a tunnel to the next one, and the last one for a tunnel to the target unless the route ends there. */
  async #askHops(hops: readonly Hop[], first: Conn): Promise<Opened> {
    let conn = first;
    try {
      for (const [index, hop] of hops.entries()) {
        const opened = await this.#askHop(hop, conn, hops[index + 1]);
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

  async #askHop(hop: Hop, conn: Conn, next: Hop | undefined): Promise<Opened> {
    const { requester, client, target, wish } = this.#request;
    const leg = { conn, hop, limit: this.#limit };
    if (hop.proxyProtocol !== undefined) {
      const said = say(leg, introduceClient(hop.proxyProtocol, requester, client));
      if (!said.ok) return said;
    }
    if (next === undefined && wish?.endAtUpstream === true) return secureLeg(leg);
    const destination = await (next === undefined ? this.#chooseTarget(hop, target) : this.#chooseHop(hop, next));
    return destination.ok ? openTunnel(leg, destination.value) : destination;
  }

  /** What `hop` is asked to connect to on the way to `next`. */
  async #chooseHop(hop: Hop, { name, endpoint }: Hop): Promise<Outcome<Endpoint>> {
    if (hop.kind !== "socks5" || endpoint.host.kind === "ip") return succeed(endpoint);
    const { resolver } = this.#services;
    const resolved = await resolveHost(endpoint.host, resolver, this.#limit, this.#request.requester.client);
    if (!resolved.ok) return { ok: false, failure: { ...resolved.failure, nextHop: name } };
    return succeed({ host: hostFromIp(chooseAddress(resolved.value)), port: endpoint.port });
  }

  /** What the last hop is asked to connect to: the target, or an address of it that may be dialled. */
  async #chooseTarget(hop: Hop, target: Endpoint): Promise<Outcome<Endpoint>> {
    const { grant, requester } = this.#request;
    const { host, port } = target;
    const judged = grant.narrowed === true ? grant.addresses : undefined;
    if (host.kind === "ip" || (hop.kind !== "socks5" && judged === undefined)) return succeed(target);
    const resolved =
      judged === undefined
        ? await resolveHost(host, this.#services.resolver, this.#limit, requester.client)
        : succeed(judged);
    if (!resolved.ok) return resolved;
    const refusals = resolved.value.map((ip) => this.#guard(ip));
    const allowed = resolved.value.filter((_, index) => refusals[index] === undefined);
    if (allowed.length > 0) return succeed({ host: hostFromIp(chooseAddress(allowed)), port });
    return { ok: false, failure: refusals[0] ?? { detail: "dns_error" } };
  }

  #connect(questions: Questions, port: number, refuse: (ip: Ip) => Failure | undefined): Promise<Outcome<Connected>> {
    const { connect = connectTcp, pace = RFC_8305_PACE } = this.#services;
    const source = findSource(this.#request.route);
    return raceConnect(questions, { port, source, refuse, connect, limit: this.#limit, pace });
  }

  #guard(ip: Ip): Failure | undefined {
    const { target, requester } = this.#request;
    return guardAddress(ip, target.port, this.#findDecision(ip), this.#services.own, requester.runtime.nat64);
  }

  #findDecision(ip: Ip): AllowDecision {
    const { decisions, decision } = this.#request.grant;
    return decisions?.get(ip.text) ?? decision;
  }

  /** What can be said of a target that an upstream will resolve. */
  #guardUnresolved(): Failure | undefined {
    const { target, grant } = this.#request;
    const { host } = target;
    if (host.kind === "ip") return this.#guard(host.ip);
    if (!isLocalhostName(host.text) || grant.decision.allowPrivate) return undefined;
    return fail("address_prohibited", { note: `${host.text} is loopback` }).failure;
  }
}

function findSource({ sourceAddress }: Route): Ip | undefined {
  return sourceAddress === undefined ? undefined : parseIp(sourceAddress);
}

/** The address that an upstream is asked for. It gets one try, and IPv4 is what every upstream can reach. */
function chooseAddress(addresses: readonly Ip[]): Ip {
  return addresses.find(({ family }) => family === 4) ?? (addresses[0] as Ip);
}
