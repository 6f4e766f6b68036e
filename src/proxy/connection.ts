import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import { acceptTls } from "./accept/accept-tls.ts";
import type { Listener } from "./accept/listener-tls.ts";
import { type Peer, readProxyHeader } from "./accept/read-proxy-header.ts";
import type { ShownCertificate } from "./auth/identify.ts";
import { ClientRequests, type ForwardServices, type Next, type PlannedRecords } from "./exchange/client-requests.ts";
import type { Exchange } from "./exchange/exchange.ts";
import type { ForwardedRequest } from "./exchange/forward.ts";
import type { Origin } from "./exchange/origin-pool.ts";
import type { Plan } from "./exchange/plans.ts";
import type { Failure } from "./failure.ts";
import type { Admission } from "./limit/admission.ts";
import { TOTAL_MS } from "./read/close-lingering.ts";
import type { Recorder } from "./record/recorder.ts";
import {
  noteExchange,
  notePlanned,
  noteTunnelEnd,
  Request,
  type RequestConnection,
  type RequestEnd,
  type RequestServices,
} from "./request.ts";
import type { Runtime, RuntimeHolder } from "./runtime.ts";
import { type RecordedConnection, type RequestIds, RequestRecord } from "./record/request-record.ts";
import type { TunnelResult } from "./flow/tunnel.ts";

/** What the connections of a gate share. */
export interface ConnectionServices extends RequestServices, ForwardServices {
  readonly runtime: RuntimeHolder;
  readonly admission: Admission;
  readonly recorder: Recorder;
  readonly ids: RequestIds;
  /** Tells the operator of a mistake of ours, which ended the connection `id`. */
  reportBug(error: unknown, id: string): void;
}

/**
 * Writes down a connection that was reset as soon as it was accepted, because
 * there was no descriptor left to answer it with: the client is not told why,
 * so the log and the metrics have to.
 */
export function recordUnserved(
  { ip, port }: Peer,
  listener: Listener,
  services: Pick<ConnectionServices, "recorder" | "runtime" | "ids">,
): void {
  const connection = { client: ip, clientPort: port, certificate: undefined, listener, services };
  const { recorder, runtime } = services;
  const record = new RequestRecord(connection, runtime.current);
  record.failure = { detail: "out_of_resources", note: "EMFILE" };
  recorder.opened(record);
  recorder.finished(record);
  recorder.closed(record);
}

/** Serves one accepted connection until its end, or until a tunnel has it. A mistake of ours ends this connection, wherever it happens. */
export function serveConnection(conn: Conn, from: Ip, listener: Listener, services: ConnectionServices): Promise<void> {
  return new ClientConnection(conn, from, listener, services).serve();
}

/** A request that came, or that was begun. */
type NextRequest = Exclude<Next, { readonly kind: "gone" }>;

/** The request that comes first: nothing of it was read. */
const FIRST: NextRequest = { kind: "request", head: undefined };

/**
 * A client's connection: its peer and its listener, the slots that it holds, its
 * requests in turn, and its one end. It lives as long as its tunnel, which may be
 * idle for days.
 */
class ClientConnection implements RequestConnection, RecordedConnection, PlannedRecords {
  client: Ip;
  clientPort: number;
  certificate: ShownCertificate | undefined = undefined;
  readonly listener: Listener;
  readonly services: ConnectionServices;
  /** Undefined once it belongs to a tunnel that is never refused. */
  #conn: Conn | undefined;
  /** The record of the last request. */
  #record: RequestRecord;
  /** Made for the first request that is forwarded. */
  #requests: ClientRequests | undefined = undefined;
  /** Under which limits a slot was taken, and by which user: a reload changes them meanwhile. */
  #clientLimits: Runtime | undefined = undefined;
  #user: string | undefined = undefined;
  #userLimits: Runtime | undefined = undefined;

  constructor(conn: Conn, from: Ip, listener: Listener, services: ConnectionServices) {
    this.client = from;
    this.clientPort = conn.remotePort;
    this.listener = listener;
    this.services = services;
    this.#conn = conn;
    this.#record = new RequestRecord(this, services.runtime.current);
    services.recorder.opened(this.#record);
  }

  get conn(): Conn {
    if (this.#conn === undefined) throw new Error("The connection belongs to a tunnel");
    return this.#conn;
  }

  async serve(): Promise<void> {
    let request = new Request(this.#record, this);
    let end: RequestEnd = "closed";
    try {
      const failure = await this.#accept();
      if (failure !== undefined && failure !== "silent") await request.refuse(failure, true);
      for (let next = failure === undefined ? FIRST : undefined; next !== undefined; next = await this.#awaitNext()) {
        if (next !== FIRST) request = new Request(this.#record, this);
        end = await (next.kind === "planned" ? request.resume(next.resume()) : request.serve(next.head));
        if (end !== "kept") break;
        this.#writeDown();
        // Without another request there is nobody left to answer.
        end = "silent";
      }
    } catch (error) {
      this.services.reportBug(error, this.#record.id);
      // Between two requests there is nobody to tell.
      if (this.#record.isWritten) this.conn.reset();
      else await request.fail();
    } finally {
      if (end === "tunnel") this.#leaveToTunnel();
      else this.#end(end, request);
    }
  }

  takeUserSlot({ user, runtime }: RequestRecord): Failure | undefined {
    // On a kept connection the next request may be somebody else's.
    if (this.#userLimits !== undefined && this.#user === user) return undefined;
    this.#leaveUser();
    const failure = this.services.admission.admitUser(user, runtime);
    if (failure !== undefined) return failure;
    this.#user = user;
    this.#userLimits = runtime;
    return undefined;
  }

  openForwarded(task: Parameters<RequestConnection["openForwarded"]>[0]): ForwardedRequest {
    return this.#keepRequests().open(task);
  }

  // What is told of requests that are carried out by plans.

  begin(plan: Plan, origin: Origin): RequestRecord {
    this.#record = new RequestRecord(this, plan.runtime);
    notePlanned(this.#record, plan, origin);
    return this.#record;
  }

  note(record: RequestRecord, exchange: Exchange): void {
    noteExchange(record, exchange);
  }

  finish(): void {
    this.#writeDown();
  }

  /** The tunnel of the last request is over. */
  tunnelOver(result: TunnelResult): void {
    noteTunnelEnd(this.#record, result);
    // A client that was told why still has its connection.
    this.#end(result.end === "denied" ? "closed" : "tunnel");
  }

  /**
   * Reads the PROXY header, takes a slot, and speaks TLS, as the listener asks for
   * it. Gives why the client is not accepted, and leaves a connection over which
   * it is told that, or a closed one.
   */
  async #accept(): Promise<Failure | "silent" | undefined> {
    const { listener, services, conn } = this;
    const { handshakeEndsAt, runtime } = this.#record;
    if (listener.proxyFrom.has(this.client)) {
      const read = await readProxyHeader(conn, handshakeEndsAt);
      if (read === "silent" || !read.ok) return this.#turnAway(read === "silent" ? read : read.failure);
      this.client = read.value?.ip ?? this.client;
      this.clientPort = read.value?.port ?? this.clientPort;
    }
    const failure = services.admission.admitClient(this.client, runtime, conn.fd);
    if (failure !== undefined) return this.#turnAway(failure);
    this.#clientLimits = runtime;
    if (listener.tls === undefined) return undefined;
    const accepted = await acceptTls(conn, listener.tls, handshakeEndsAt);
    if (!accepted.ok) return this.#turnAway(accepted.failure, accepted.conn);
    this.#conn = accepted.conn;
    this.certificate = accepted.certificate;
    return undefined;
  }

  /** `conn` is a connection on which the client understands an answer. One that waits for TLS does not understand it in clear. */
  #turnAway(failure: Failure | "silent", conn = this.listener.tls === undefined ? this.conn : undefined) {
    if (conn === undefined || failure === "silent") this.conn.close();
    else this.#conn = conn;
    return failure;
  }

  /** Waits for another request after one that is over. */
  async #awaitNext(): Promise<NextRequest | undefined> {
    const next = await this.#keepRequests().next(this.#record);
    if (next.kind === "gone") return undefined;
    if (next.kind === "request") this.#record = new RequestRecord(this, this.services.runtime.current);
    return next;
  }

  #keepRequests(): ClientRequests {
    return (this.#requests ??= new ClientRequests(this.conn, this.services, this));
  }

  /** Keeps no more than what the end of the tunnel takes. */
  #leaveToTunnel(): void {
    this.#releaseRequests();
    if (this.#record.inside === undefined) this.#conn = undefined;
  }

  #releaseRequests(): void {
    this.#requests?.release();
    this.#requests = undefined;
  }

  /** Writes the last request down, which is over. */
  #writeDown(): void {
    if (this.#record.isWritten) return;
    this.#record.isWritten = true;
    this.services.recorder.finished(this.#record);
  }

  /** The one end. A client that was told something keeps its slots until it is gone. */
  #end(end: RequestEnd, request?: Request): void {
    this.#writeDown();
    this.#releaseRequests();
    request?.release();
    const conn = this.#conn;
    if (end === "tunnel" || conn === undefined || conn.closed) {
      this.#giveBack();
    } else {
      const ms = end === "silent" ? 0 : grantSending(this.#record.failure);
      this.services.admission.lingering.close(conn, this.#record, ms, () => this.#giveBack());
    }
  }

  #giveBack(): void {
    this.#leaveUser();
    if (this.#clientLimits !== undefined) this.services.admission.leaveClient(this.client, this.#clientLimits);
    this.#clientLimits = undefined;
    this.services.recorder.closed(this.#record);
  }

  #leaveUser(): void {
    if (this.#userLimits !== undefined) this.services.admission.leaveUser(this.#user, this.#userLimits);
    this.#userLimits = undefined;
  }
}

/** A client whose time is over does not get it anew by sending on: milliseconds, enough for the 408 to arrive. */
const LATE_MS = 2000;

/** How long a client may go on sending after its last answer, in milliseconds. */
function grantSending(failure: Failure | undefined): number {
  switch (failure?.detail) {
    case "client_gone":
      return 0;
    case "handshake_timeout":
      return LATE_MS;
    default:
      return TOTAL_MS;
  }
}
