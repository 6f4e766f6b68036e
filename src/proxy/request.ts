import type { Conn } from "../net/conn/conn.ts";
import { frameRequest } from "../protocol/http1/message-framing.ts";
import { allowsNextRequest } from "../protocol/http1/persistence.ts";
import type { RequestHead } from "../protocol/http1/request-head.ts";
import type { ClientProfiles } from "../protocol/tls/read/client-profiles.ts";
import type { Listener } from "./accept/listener-tls.ts";
import { identify, type IdentifyServices, type ShownCertificate } from "./auth/identify.ts";
import { authorize } from "./decide/authorize.ts";
import type { AuthorizeServices } from "./decide/inquiry.ts";
import { dial, type DialOutcome } from "./dial/dial.ts";
import type { DialServices } from "./dial/dial-context.ts";
import { answerHere } from "./exchange/answer-here.ts";
import type { Resumed } from "./exchange/client-requests.ts";
import { findForwardFault, type ForwardedRequest, type ForwardTask, type Tried } from "./exchange/forward.ts";
import type { Plan } from "./exchange/plans.ts";
import type { Exchange } from "./exchange/exchange.ts";
import type { Origin } from "./exchange/origin-pool.ts";
import { describeFailure, type Failure } from "./failure.ts";
import type { Grant } from "./policy/decision.ts";
import { type FirstMessageRead, readFirstMessage } from "./read/first-message.ts";
import type { ForwardRequest } from "./read/forward-request.ts";
import { readCredentials } from "./read/read-credentials.ts";
import { readRequest } from "./read/read-request.ts";
import { httpReply, type Reply, socks4Reply } from "./read/reply.ts";
import { Socks5Handshake } from "./read/socks5-handshake.ts";
import type { ConnectTargets, TunnelRequest } from "./read/tunnel-request.ts";
import { writeWhole } from "./read/write-whole.ts";
import type { Captures } from "./record/captures.ts";
import type { Recorder } from "./record/recorder.ts";
import type { RequestRecord } from "./record/request-record.ts";
import { chooseRoute } from "./route/choose-route.ts";
import type { Route } from "./route/route.ts";
import { inspectTunnel } from "./tunnel/first-bytes-tap.ts";
import { judgeForwarding } from "./tunnel/judge-inside.ts";
import type { TunnelEngine, TunnelOwner, TunnelResult } from "./flow/tunnel.ts";

/** What requests share. */
export interface RequestServices extends IdentifyServices, AuthorizeServices, DialServices {
  readonly tunnel: TunnelEngine;
  readonly recorder: Pick<Recorder, "tunnelOpened">;
  readonly targets: ConnectTargets;
  readonly captures: Pick<Captures, "observers">;
  /** Fingerprints of the clients whose TLS handshakes passed. */
  readonly clientProfiles: ClientProfiles;
  /** The proxy shuts down: there are no new requests. */
  readonly draining: boolean;
}

/** The connection that a request came on, as far as the request needs it. */
export interface RequestConnection extends TunnelOwner {
  readonly listener: Listener;
  readonly services: RequestServices;
  readonly certificate: ShownCertificate | undefined;
  /** The client's connection itself, encrypted where the listener speaks TLS. */
  readonly conn: Conn;
  /** Takes a slot for the user of a request, or says why there is none. */
  takeUserSlot(record: RequestRecord): Failure | undefined;
  /** Opens a request that is to be forwarded. */
  openForwarded(task: Omit<ForwardTask, "client" | "forwarding" | "upstreams" | "exchange">): ForwardedRequest;
}

/**
 * How a request ended. `kept`: another one may follow. `closed`: the client's
 * connection is still to be closed. `silent`: there was no request, and the
 * client is not there any more. `tunnel`: both connections belong to a tunnel.
 */
export type RequestEnd = "kept" | "closed" | "silent" | "tunnel";

/**
 * One request of a client: read → authenticate → decide → route → dial → reply →
 * carry. Each stage takes what it needs and gives a value, or the failure that
 * ends the request. A stage that has its answer at hand gives it at once; only one
 * that has to wait gives a promise. What the stages find is noted in the record
 * here, and nowhere else.
 */
export class Request {
  readonly #record: RequestRecord;
  readonly #connection: RequestConnection;
  /** How the client is answered; as an HTTP client until its protocol is known. */
  #reply: Reply = httpReply;
  /** The connection that was dialled, until a tunnel has it. */
  #target: Conn | undefined;

  constructor(record: RequestRecord, connection: RequestConnection) {
    this.#record = record;
    this.#connection = connection;
  }

  /** Serves the request up to the last byte of its answer, or until a tunnel has it. `head` is that of the request, when it was read already. */
  async serve(head: RequestHead | undefined): Promise<RequestEnd> {
    return this.#conclude(await this.#carryOut(head));
  }

  /** Serves the request on that a plan has carried out up to here. */
  async resume({ forwarded, tried }: Resumed): Promise<RequestEnd> {
    this.#record.requestHead = forwarded.task.request.head;
    return this.#conclude(await this.#carryForwarded(forwarded, tried));
  }

  /** Tells the client why its request, or its connection, is not served. True when the connection is kept. */
  refuse(failure: Failure, ending: boolean): boolean | Promise<boolean> {
    const record = this.#record;
    const client = this.#connection.conn;
    record.failure = failure;
    record.closeStage();
    if (client.closed || failure.detail === "client_gone") {
      client.close();
      return false;
    }
    const { id, runtime, decision, method, requestHead } = record;
    const { status } = describeFailure(failure.detail);
    const keeps = !ending && allowsNext(failure, requestHead);
    record.status = status;
    const refusal = this.#reply.formatRefusal({ failure, runtime, id, rule: decision?.rule, method, keeps });
    const told = writeWhole(client, refusal, runtime.timeouts.idleMs);
    return told instanceof Promise ? told.then((whole) => whole && keeps) : told && keeps;
  }

  /** Fails because of a mistake of ours. Nobody knows what of an answer was sent already, once that has begun. */
  async fail(): Promise<void> {
    const { stage } = this.#record;
    if (stage === "forward" || stage === "respond" || stage === "tunnel") this.#connection.conn.reset();
    await this.refuse({ detail: "internal_error" }, true);
  }

  /** Gives up what was dialled for the request and has no use any more. */
  release(): void {
    this.#target?.reset();
    this.#target = undefined;
  }

  #conclude(end: Failure | RequestEnd): RequestEnd | Promise<RequestEnd> {
    return typeof end === "object" ? this.#tell(end) : end;
  }

  async #tell(failure: Failure): Promise<RequestEnd> {
    return (await this.refuse(failure, this.#connection.services.draining)) ? "kept" : "closed";
  }

  async #carryOut(head: RequestHead | undefined): Promise<Failure | RequestEnd> {
    const record = this.#record;
    const client = this.#connection.conn;
    const connection = this.#connection;
    const { listener, services } = connection;
    const { runtime, handshakeEndsAt: endsAt } = record;

    record.enter("handshake");
    const first =
      head === undefined
        ? await readFirstMessage(client, { protocols: listener.protocols, head: runtime.limits.head, endsAt })
        : ({ ok: true, value: { protocol: "http", head } } as const);
    this.#reply = noteFirstMessage(record, first);
    if (!first.ok) return first.failure;

    record.enter("authenticate");
    const required = runtime.authenticator.required && connection.certificate === undefined;
    const presented = await readCredentials(first.value, client, { required, endsAt });
    if (!presented.ok) return presented.failure;
    const user = await identify(record, client, presented.value, services);
    record.user = user.ok ? user.value : user.claimed;
    if (!user.ok) return user.failure;
    const crowded = connection.takeUserSlot(record);
    if (crowded !== undefined) return crowded;

    record.enter("request");
    const read = await readRequest(first.value, client, services.targets, endsAt);
    if (read.command !== undefined) record.method = read.command.toUpperCase();
    if (!read.ok) return read.failure;
    const request = read.value;
    record.target = request.target;
    if (request.kind === "forward") record.scheme = request.scheme;
    if (services.draining) return { detail: "draining" };

    record.enter("decide");
    const authorized = await authorize(record, request.target, services, client);
    const { decision, foundName } = authorized.ok ? authorized.value : authorized;
    record.decision = decision;
    record.foundName = foundName;
    if (!authorized.ok) return authorized.failure;
    const grant = authorized.value;

    record.enter("route");
    const route = chooseRoute(record, grant.decision);
    if (!route.ok) return route.failure;
    record.route = route.value;
    return request.kind === "forward"
      ? this.#forward(request, route.value, grant)
      : this.#connect(request, route.value, grant);
  }

  /** Dials the target, tells the client, and opens the tunnel. */
  async #connect({ target }: TunnelRequest, route: Route, grant: Grant): Promise<Failure | RequestEnd> {
    const record = this.#record;
    const client = this.#connection.conn;
    const connection = this.#connection;
    record.enter("dial");
    const dialled = await dial({ requester: record, client, target, route, grant }, connection.services);
    noteDial(record, dialled);
    if (!dialled.ok) return dialled.failure;
    this.#target = dialled.value.conn;
    if (client.closed) return { detail: "client_gone" };

    record.enter("respond");
    record.status = 200;
    const { runtime } = record;
    const told = writeWhole(client, this.#reply.formatEstablished(runtime), runtime.timeouts.idleMs);
    if (told !== true && !(await told)) return { detail: "client_gone" };
    return this.#openTunnel(dialled.value.conn);
  }

  async #forward(request: ForwardRequest, route: Route, grant: Grant): Promise<Failure | RequestEnd> {
    const record = this.#record;
    const client = this.#connection.conn;
    const { forward: settings, timeouts } = record.runtime;
    const from = { client: record.client, clientEncrypted: client.encrypted };
    const fault = judgeForwarding(grant.decision) ?? findForwardFault(request, settings, from);
    if (fault !== undefined) return fault;
    // The request may not reach its origin: it is answered here.
    if (request.maxForwards === 0) {
      const keeps = request.keepsClient && request.framing.kind === "none";
      record.status = 200;
      const whole = await writeWhole(client, answerHere(request, keeps), timeouts.idleMs);
      return keeps && whole ? "kept" : "closed";
    }
    return this.#carryForwarded(this.#connection.openForwarded({ record, request, route, grant }));
  }

  /** Carries a request to its origin, in as many tries as it takes. `before` is the one that was made already. */
  async #carryForwarded(forwarded: ForwardedRequest, before?: Tried): Promise<Failure | RequestEnd> {
    const record = this.#record;
    const { task, wish } = forwarded;
    const { client, request, route, grant } = task;
    let tried = before;
    let origin = before?.origin ?? forwarded.takeKept();
    for (;;) {
      if (origin === undefined) {
        record.enter("dial");
        const { services } = this.#connection;
        const { target } = request;
        const dialled = await dial({ requester: record, client, target, route, grant, wish }, services);
        noteDial(record, dialled);
        if (!dialled.ok) return dialled.failure;
        origin = forwarded.openOrigin(dialled.value);
      }
      record.dialled = origin.address;
      if (tried === undefined) record.enter("forward");
      tried ??= await forwarded.carry(origin);
      record.status = forwarded.status;
      record.forwarded = forwarded.moved;
      const end = forwarded.conclude(tried);
      switch (end.kind) {
        case "again":
          tried = undefined;
          origin = undefined;
          break;
        case "failed":
          return end.failure;
        case "broken":
          record.failure = end.failure;
          return "closed";
        case "switched":
          record.requestHead = undefined;
          this.#target = origin.conn;
          return this.#openTunnel(origin.conn);
        default:
          return end.kind;
      }
    }
  }

  /** Gives both connections to a tunnel. */
  #openTunnel(target: Conn): "tunnel" {
    const record = this.#record;
    const connection = this.#connection;
    const { services } = connection;
    record.enter("tunnel");
    const tunnel = services.tunnel(connection.conn, target, {
      idleMs: record.runtime.timeouts.idleMs,
      owner: connection,
      tap: record.scheme === undefined ? inspectTunnel(record, services.clientProfiles) : undefined,
      observers: services.captures.observers(record),
    });
    this.#target = undefined;
    services.recorder.tunnelOpened(record, tunnel);
    return "tunnel";
  }
}

/** Notes what the client speaks and wants to be done. Gives how it is answered. */
function noteFirstMessage(record: RequestRecord, first: FirstMessageRead): Reply {
  const protocol = first.ok ? first.value.protocol : first.protocol;
  record.protocol = protocol;
  if (first.ok && first.value.protocol === "http") {
    const { head } = first.value;
    // Not the part of the head that says so: that would keep all of it in memory as long as the tunnel lives.
    record.method = head.method === "CONNECT" ? "CONNECT" : head.method;
    if (head.method !== "CONNECT") record.requestHead = head;
  }
  if (protocol === "socks4") return socks4Reply;
  if (protocol !== "socks5") return httpReply;
  return first.ok && first.value.protocol === "socks5" ? first.value.handshake : new Socks5Handshake(undefined);
}

/** Notes what a dial found, also where it failed. */
function noteDial(record: RequestRecord, dialled: DialOutcome): void {
  const { address, decision } = dialled.ok ? dialled.value : dialled;
  if (address !== undefined) record.dialled = address;
  if (decision !== undefined) record.decision = decision;
}

/** Notes how the tunnel of a request ended. */
export function noteTunnelEnd(record: RequestRecord, result: TunnelResult): void {
  record.tunnel = result;
}

/** Notes what the exchange of a planned request has come to. */
export function noteExchange(record: RequestRecord, exchange: Pick<Exchange, "status" | "bytes">): void {
  record.status = exchange.status;
  record.forwarded = exchange.bytes();
}

/** Notes all of a request that a plan is about to carry out: the stages before took no time, since all was known. */
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
  record.decision = plan.decision;
  record.route = plan.route;
  record.dialled = origin.address;
}

/** Whether the client's connection can carry another request after this failure. */
function allowsNext({ detail }: Failure, head: RequestHead | undefined): boolean {
  // A new certificate takes a new connection.
  if (describeFailure(detail).word === "http_request_error" || detail === "certificate_required") return false;
  // Nothing of the request is left unread.
  return head !== undefined && frameRequest(head).kind === "none" && allowsNextRequest(head);
}
