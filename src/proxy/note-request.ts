import type { ClientProfiles } from "../protocol/tls/read/client-profiles.ts";
import type { TunnelOutcome } from "./dial/dial-along.ts";
import type { Exchange } from "./exchange/exchange.ts";
import type { Origin } from "./exchange/origin-pool.ts";
import type { Plan } from "./exchange/plans.ts";
import type { TunnelResult, TunnelTap } from "./flow/tunnel.ts";
import type { FirstMessage, FirstMessageRead } from "./read/first-message.ts";
import { readForwardRequest } from "./read/forward-request.ts";
import { httpReply, type Reply, socks4Reply } from "./read/reply.ts";
import { Socks5Handshake } from "./read/socks5-handshake.ts";
import { ConnectTargets, readConnect } from "./read/tunnel-request.ts";
import type { RequestRecord } from "./record/request-record.ts";
import type { Tracing } from "./trace/tracing.ts";
import { FirstBytesTap } from "./tunnel/first-bytes-tap.ts";

/** Notes protocol and method. Returns the reply in that protocol. */
export function noteFirstMessage(record: RequestRecord, first: FirstMessageRead): Reply {
  const protocol = first.ok ? first.value.protocol : first.protocol;
  record.protocol = protocol;
  if (first.ok && first.value.protocol === "http") {
    const { head } = first.value;
    // A substring keeps the whole head in memory, and a tunnel keeps its record.
    record.method = head.method === "CONNECT" ? "CONNECT" : head.method;
    if (head.method !== "CONNECT") record.requestHead = head;
  }
  if (protocol === "socks4") return socks4Reply;
  if (protocol !== "socks5") return httpReply;
  return first.ok && first.value.protocol === "socks5" ? first.value.handshake : new Socks5Handshake(undefined);
}

/**
 * Notes the target of a request that is refused before its target is read, where it
 * is in the first message: the log names it as Squid's does. Nothing is cached for
 * a client that is not known.
 */
export function noteUnreadTarget(record: RequestRecord, first: FirstMessage): void {
  if (first.protocol !== "http") return;
  const { head } = first;
  const read = head.method === "CONNECT" ? readConnect(head, new ConnectTargets()) : readForwardRequest(head);
  if (read.ok) record.target = read.value.target;
}

/** Puts the request into the trace of its client, where that one is trusted. */
export function followTrace(
  record: RequestRecord,
  message: Extract<FirstMessageRead, { ok: true }>["value"],
  tracing: Pick<Tracing, "follow">,
): void {
  if (message.protocol === "http") record.trace = tracing.follow(record.trace, message.head, record.client);
}

/** Notes what a dial found, also when it failed. */
export function noteDial(record: RequestRecord, dialled: TunnelOutcome): void {
  const { address, decision } = dialled.ok ? dialled.value : dialled;
  if (dialled.carriage !== undefined) record.carriage = dialled.carriage;
  if (address !== undefined) record.dialled = address;
  if (decision !== undefined) record.decision = decision;
}

/** Makes the tap of a tunnel. The facts that are recorded grow while the tunnel is young. */
export function tapTunnel(record: RequestRecord, profiles: ClientProfiles): TunnelTap {
  const tap = new FirstBytesTap(record, profiles);
  record.inside = tap.facts;
  return tap;
}

/** Notes how the tunnel of a request ended. */
export function noteTunnelEnd(record: RequestRecord, result: TunnelResult): void {
  record.tunnel = result;
  record.failure = record.inside?.failure ?? record.failure;
}

/** Notes status and bytes of a planned request. */
export function noteExchange(record: RequestRecord, exchange: Pick<Exchange, "status" | "bytes">): void {
  record.status = exchange.status;
  record.forwarded = exchange.bytes();
}

/** Notes a request that a plan carries out. The stages before `forward` took no time. */
export function notePlanned(record: RequestRecord, plan: Plan, origin: Origin): void {
  const { stageMs } = record;
  stageMs.accept = 0;
  stageMs.handshake = 0;
  stageMs.authenticate = 0;
  stageMs.request = 0;
  stageMs.decide = 0;
  stageMs.route = 0;
  record.stage = "forward";
  record.protocol = "http";
  record.method = "GET";
  record.scheme = "http";
  record.target = plan.target;
  record.user = plan.user;
  record.parameters = plan.parameters;
  record.decision = plan.decision;
  record.route = plan.route;
  record.dialled = origin.address;
}
