import type { Conn } from "../net/conn/conn.ts";
import type { Lookups } from "../net/dns/resolver.ts";
import type { RequestHead } from "../protocol/http1/request-head.ts";
import { identify } from "./auth/identify.ts";
import { awaitApproval } from "./decide/ask-operator.ts";
import { authorize } from "./decide/authorize.ts";
import { dial } from "./dial/dial.ts";
import { dialAlong } from "./dial/dial-along.ts";
import { findMembers } from "./dial/request-members.ts";
import { answerHere } from "./exchange/answer-here.ts";
import type { Resumed } from "./exchange/client-requests.ts";
import { editRequest } from "./exchange/edit-request.ts";
import { findForwardFault, type ForwardedRequest, type Tried } from "./exchange/forward.ts";
import { describeFailure, type Failure } from "./failure.ts";
import { followTrace, noteDial, noteFirstMessage, noteUnreadTarget, tapTunnel } from "./note-request.ts";
import { findRoute } from "./pac/choose-ways.ts";
import type { Grant } from "./policy/decision.ts";
import { type FirstMessage, readFirstMessage } from "./read/first-message.ts";
import { describeToRules, type ForwardRequest } from "./read/forward-request.ts";
import { readCredentials } from "./read/read-credentials.ts";
import { readRequest } from "./read/read-request.ts";
import { allowsNext } from "./read/refusal.ts";
import { type Reply, replyUnasked } from "./read/reply.ts";
import { writeWhole } from "./read/write-whole.ts";
import { findReported } from "./record/find-reported.ts";
import type { RequestRecord } from "./record/request-record.ts";
import type { RequestConnection, RequestEnd } from "./request-connection.ts";
import { isPooled, type PooledRoute, type Route } from "./route/route.ts";
import { planTap } from "./tunnel/first-bytes-tap.ts";
import { NO_FACTS } from "./tunnel/inside-facts.ts";
import { judgeForwarding } from "./tunnel/judge-inside.ts";

/**
 * One request of a client: read → authenticate → decide → route → dial → reply →
 * carry. Each stage takes what it needs and gives a value, or the failure that
 * ends the request. A stage that has its answer at hand gives it at once; only one
 * that has to wait gives a promise. What the stages find is noted in the record
 * here, by way of note-request.ts, and nowhere else.
 */
export class Request {
  readonly #record: RequestRecord;
  readonly #connection: RequestConnection;
  /** The reply in the client's protocol. */
  #reply: Reply;
  /** The connection that was dialled, until a tunnel has it. */
  #target: Conn | undefined;
  /** The answers by which the target was judged, for every dial to it. */
  #lookups: Lookups | undefined;

  constructor(record: RequestRecord, connection: RequestConnection) {
    this.#record = record;
    this.#connection = connection;
    this.#reply = replyUnasked(connection.listener.protocols);
  }

  /** Serves the request to the last byte of its response, or hands it to a tunnel. `head` is the head of the request when it has been read. */
  async serve(head: RequestHead | undefined): Promise<RequestEnd> {
    const record = this.#record;
    const connection = this.#connection;
    const { conn: client, listener, services } = connection;
    const { requestLimits } = services;
    const { handshakeEndsAt: endsAt } = record;

    record.enter("handshake");
    const first =
      head === undefined
        ? await readFirstMessage(client, {
            protocols: listener.protocols,
            head: record.runtime.limits.head,
            endsAt,
            newcomers: services.newcomers,
          })
        : ({ ok: true, value: { protocol: "http", head } } as const);
    this.#reply = noteFirstMessage(record, first);
    if (!first.ok) return first.failure === "silent" ? "silent" : this.#end(first.failure);
    if (services.tracing !== undefined) followTrace(record, first.value, services.tracing);
    const excluded = connection.beginRequest(record);
    if (excluded !== undefined) return this.#endConnection(excluded);
    const { runtime } = record;

    record.enter("authenticate");
    const { authenticator } = runtime;
    const exempt = authenticator.exempt?.find(record.client, listener.proxyFrom);
    const required =
      authenticator.required && connection.certificate === undefined && (exempt === undefined || "if_offered");
    const presented = await readCredentials(first.value, client, { required, endsAt });
    if (!presented.ok) return this.#endUnread(first.value, presented.failure);
    const { limits } = runtime;
    // Before a password costs anything.
    const hasty = limits.hasRequestLimits ? requestLimits.arrive(record.client, limits, performance.now()) : undefined;
    if (hasty !== undefined) return this.#endUnread(first.value, hasty);
    const user = await identify(record, client, presented.value, services, exempt);
    record.user = user.ok ? user.value : user.claimed;
    record.parameters = user.parameters;
    if (!user.ok) return this.#endUnread(first.value, user.failure);
    const crowded = connection.takeUserSlot(record);
    if (crowded !== undefined) return this.#end(crowded);

    record.enter("request");
    const read = await readRequest(first.value, client, services.targets, endsAt);
    if (read.command !== undefined) record.method = read.command.toUpperCase();
    if (!read.ok) return this.#end(read.failure);
    const request = read.value;
    record.target = request.target;
    if (request.kind === "forward") record.scheme = request.scheme;
    if (services.refusing) return this.#end({ detail: "draining" });
    const spent =
      (limits.hasQuotas ? services.quotas?.refuse(record.user, limits) : undefined) ??
      (limits.hasRequestLimits ? requestLimits.takeUser(record.user, limits, performance.now()) : undefined);
    if (spent !== undefined) return this.#end(spent);

    record.enter("decide");
    const seen = request.kind === "forward" && runtime.policy.looksAtRequests ? describeToRules(request) : undefined;
    const authorized = await authorize(record, request.target, services, client, seen);
    const { decision, foundName } = authorized.ok ? authorized.value : authorized;
    record.decision = decision;
    record.foundName = foundName;
    if (!authorized.ok) return this.#end(authorized.failure);
    this.#lookups = authorized.value.lookups;
    const unfit = request.kind === "forward" ? judgeForwarding(authorized.value.decision) : undefined;
    if (unfit !== undefined) return this.#end(unfit);
    if (authorized.value.decision.ask !== undefined) {
      const unapproved = await awaitApproval(record, request.target, authorized.value.decision, services, client);
      if (unapproved !== undefined) return this.#end(unapproved);
    }
    if (limits.hasRequestLimits) {
      const room = requestLimits.takeTarget(request.target, limits, performance.now());
      if ("failure" in room) return this.#end(room.failure);
      record.targetSlot = room.slot;
    }

    record.enter("route");
    const finding = findRoute(record, authorized.value, request, { router: services.pacs, client });
    const found = finding instanceof Promise ? await finding : finding;
    if (!found.ok) return this.#end(found.failure);
    const { value: route, grant } = found;
    record.route = route;
    if (request.kind === "forward") return this.#forward(request, route, grant);

    record.enter("dial");
    const dialled = await dialAlong({ requester: record, client, target: request.target, route, grant }, services);
    noteDial(record, dialled);
    if (!dialled.ok) return this.#end(dialled.failure);
    this.#target = dialled.value.conn;
    if (client.closed) return this.#end({ detail: "client_gone" });

    record.enter("respond");
    record.status = 200;
    const told = writeWhole(
      client,
      this.#reply.formatEstablished(runtime, findReported(record)),
      runtime.timeouts.idleMs,
    );
    if (told !== true && !(await told)) return this.#end({ detail: "client_gone" });
    return this.#openTunnel(this.#target);
  }

  /** Continues a request whose first try was made by a plan. */
  async resume({ forwarded, tried }: Resumed): Promise<RequestEnd> {
    this.#record.requestHead = forwarded.task.request.head;
    return this.#carryForwarded(forwarded, tried);
  }

  /** Tells the client why its request or its connection is not served. True when the connection is kept. */
  async refuse(failure: Failure, ending: boolean, reply = this.#reply): Promise<boolean> {
    const record = this.#record;
    const client = this.#connection.conn;
    record.failure = failure;
    record.closeStage();
    if (client.closed || failure.detail === "client_gone") {
      client.close();
      return false;
    }
    const { id, runtime, decision, method, requestHead } = record;
    const { checks } = this.#connection.services;
    const { status } = describeFailure(failure.detail);
    const challenges = status === 407 ? runtime.authenticator.challenge(checks, failure) : [];
    const keeps = !ending && allowsNext(failure, requestHead);
    record.status = status;
    const context = { agent: runtime.agent, id, rule: decision?.rule, challenges, method, keeps };
    const refusal = reply.formatRefusal({ failure, ...context });
    const whole = await writeWhole(client, refusal, runtime.timeouts.idleMs);
    return whole && keeps;
  }

  /** Fails because of a bug. Once a reply has begun, its length is unknown, so the connection is reset. */
  async fail(): Promise<void> {
    const { stage } = this.#record;
    if (stage === "forward" || stage === "respond" || stage === "tunnel") this.#connection.conn.reset();
    await this.refuse({ detail: "internal_error" }, true);
  }

  /** Gives back what only the request needed, at its end: resets the connection that was dialled, unless a tunnel has it. */
  release(): void {
    this.#target?.reset();
    this.#target = undefined;
    this.#lookups?.release();
    this.#lookups = undefined;
  }

  /** Ends the request with a failure, and its connection with it. */
  async #endConnection(failure: Failure): Promise<RequestEnd> {
    await this.refuse(failure, true);
    return "closed";
  }

  async #end(failure: Failure): Promise<RequestEnd> {
    return (await this.refuse(failure, this.#connection.services.draining)) ? "kept" : "closed";
  }

  /** Ends a request before its target was read. */
  #endUnread(first: FirstMessage, failure: Failure): Promise<RequestEnd> {
    noteUnreadTarget(this.#record, first);
    return this.#end(failure);
  }

  async #forward(request: ForwardRequest, route: Route | PooledRoute, grant: Grant): Promise<RequestEnd> {
    const record = this.#record;
    const client = this.#connection.conn;
    const { forward: settings, timeouts } = record.runtime;
    const from = { client: record.client, clientEncrypted: client.encrypted };
    const fault = findForwardFault(request, settings, from);
    if (fault !== undefined) return this.#end(fault);
    // RFC 9110 §7.6.2: a request with Max-Forwards 0 is answered here.
    if (request.maxForwards === 0) {
      const keeps = request.keepsClient && request.framing.kind === "none";
      record.status = 200;
      const whole = await writeWhole(client, answerHere(request, keeps), timeouts.idleMs);
      return keeps && whole ? "kept" : "closed";
    }
    const edited = editRequest(request, grant.decision);
    if (!edited.ok) return this.#end(edited.failure);
    const { value: outgoing } = edited;
    if (!isPooled(route))
      return this.#carryForwarded(this.#connection.openForwarded({ record, request: outgoing, route, grant }));
    const asked = { requester: record, client, target: request.target, route };
    const found = await findMembers(asked, this.#connection.services);
    if (!found.ok) return this.#end(found.failure);
    const members = found.value;
    record.carriage = members.carriage;
    const task = { record, request: outgoing, route: members.carriage.route, grant, members };
    return this.#carryForwarded(this.#connection.openForwarded(task));
  }

  /** Carries a request to its origin, in one or more tries. `before` is a try that has ended. */
  async #carryForwarded(forwarded: ForwardedRequest, before?: Tried): Promise<RequestEnd> {
    const record = this.#record;
    const { task } = forwarded;
    const { client, request, route, grant, members } = task;
    let tried = before;
    let origin = before?.origin ?? forwarded.takeKept();
    for (;;) {
      if (origin === undefined) {
        record.enter("dial");
        const { services } = this.#connection;
        const { target } = request;
        const who = { requester: record, client, target, grant };
        const dialled = await (members === undefined
          ? dial({ ...who, route, wish: forwarded.wish }, services)
          : members.dial({ ...who, wishFor: (along) => forwarded.wishFor(along) }));
        noteDial(record, dialled);
        if (!dialled.ok) return this.#end(dialled.failure);
        if (members !== undefined) forwarded.follow(members.carriage.route);
        origin = forwarded.openOrigin(dialled.value);
      } else members?.carriage.reused();
      record.dialled = origin.address;
      if (tried === undefined) record.enter("forward");
      tried ??= await forwarded.carry(origin);
      // Another member may have been faster.
      ({ origin } = tried);
      record.dialled = origin.address;
      if (members !== undefined) record.carriage = members.carriage;
      record.status = forwarded.status;
      record.forwarded = forwarded.moved;
      const end = forwarded.conclude(tried);
      switch (end.kind) {
        case "again":
          tried = undefined;
          origin = undefined;
          break;
        case "elsewhere": {
          const next = await members?.next();
          if (next === undefined) return this.#end(end.failure);
          record.carriage = next;
          forwarded.follow(next.route);
          tried = undefined;
          origin = forwarded.takeKept();
          break;
        }
        case "failed":
          return this.#end(end.failure);
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

  /** Hands both connections to a tunnel. */
  #openTunnel(target: Conn): "tunnel" {
    const record = this.#record;
    const connection = this.#connection;
    const { services } = connection;
    record.enter("tunnel");
    const plan = record.scheme === undefined ? planTap(record) : undefined;
    if (plan === "later") record.inside = NO_FACTS;
    const tap = plan === "now" ? tapTunnel(record, services.clientProfiles) : undefined;
    const hold = services.bandwidths.enter(record);
    record.bandwidth = hold;
    const tunnel = services.tunnel(connection.conn, target, {
      idleMs: record.runtime.timeouts.idleMs,
      owner: connection,
      traffic: services.traffic,
      upBudget: hold?.up,
      downBudget: hold?.down,
      tap,
      tappedLater: plan === "later",
      observers: services.captures.observers(record),
    });
    this.#target = undefined;
    services.recorder.tunnelOpened(record, tunnel);
    return "tunnel";
  }
}
