import { AddressSet } from "../address/address-set.ts";
import { clientKey } from "../address/client-key.ts";
import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import { acceptTls } from "./accept/accept-tls.ts";
import type { Listener } from "./accept/listener.ts";
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
import { noteExchange, notePlanned, noteTunnelEnd, tapTunnel } from "./note-request.ts";
import { Request } from "./request.ts";
import type { RequestConnection, RequestEnd, RequestServices } from "./request-connection.ts";
import type { Runtime, RuntimeHolder } from "./runtime.ts";
import { type RecordedConnection, type RequestIds, RequestRecord } from "./record/request-record.ts";
import type { Tracing } from "./trace/tracing.ts";
import type { TunnelResult, TunnelTap } from "./flow/tunnel.ts";

/** What the connections of a gate share. */
export interface ConnectionServices extends RequestServices, ForwardServices {
  readonly runtime: RuntimeHolder;
  readonly admission: Admission;
  readonly recorder: Recorder;
  readonly ids: RequestIds;
  /** Absent where nothing is traced. */
  readonly tracing: Tracing | undefined;
  /** Tells the operator of a bug that ended the connection `id`. */
  reportBug(error: unknown, id: string): void;
}

/**
 * Records a connection that was reset right after accept, because no descriptor
 * was left to serve it. The client gets no reason, so log and metrics show it.
 */
export function recordUnserved(
  { ip, port }: Peer,
  listener: Listener,
  services: Pick<ConnectionServices, "recorder" | "runtime" | "ids" | "tracing">,
): void {
  const connection = { client: ip, clientPort: port, certificate: undefined, listener, services };
  const { recorder, runtime } = services;
  const record = new RequestRecord(connection, runtime.current);
  record.failure = { detail: "out_of_resources", note: "EMFILE" };
  recorder.opened(record);
  recorder.finished(record);
  recorder.closed(record);
}

/** Serves one accepted connection until its end, or until a tunnel has it. A bug ends this connection and no other. */
export function serveConnection(conn: Conn, from: Ip, listener: Listener, services: ConnectionServices): Promise<void> {
  return new ClientConnection(conn, from, listener, services).serve();
}

/** A client that was idle between two requests when its connection was taken away from where it was served. */
export interface MovedClient {
  readonly client: Ip;
  readonly clientPort: number;
  /** The listener that accepted it. */
  readonly listener: string;
  /** The user for whom it held a slot. */
  readonly user: string | undefined;
  /** Monotonic milliseconds since when it is idle. */
  readonly lastActivity: number;
}

/** Serves the next requests of a client that was served elsewhere before. */
export function resumeConnection(conn: Conn, from: MovedClient, services: ConnectionServices): Promise<void> {
  // The listener has nothing more to say about it: its PROXY header is read, and it speaks HTTP in clear.
  const listener = { name: from.listener, protocols: HTTP_ONLY, proxyFrom: NOBODY, tls: undefined };
  return new ClientConnection(conn, from.client, listener, services, from).serve(from);
}

const HTTP_ONLY: Listener["protocols"] = new Set(["http"] as const);
const NOBODY = new AddressSet([]);

/** A request that arrived, or that a plan has begun; or the news that the connection was taken away. */
type NextRequest = Exclude<Next, { readonly kind: "gone" }>;

/** Why a client is not accepted; undefined when it is. */
type Unaccepted = Failure | "silent" | undefined;

/** The first request. None of it has been read. */
const FIRST: NextRequest = { kind: "request", head: undefined };

/**
 * A client's connection: its peer and listener, the slots that it holds, its
 * requests in turn, and its one end. It lives as long as its tunnel, so it keeps
 * little while one is open.
 */
class ClientConnection implements RequestConnection, RecordedConnection, PlannedRecords {
  client: Ip;
  clientPort: number;
  certificate: ShownCertificate | undefined = undefined;
  readonly listener: Listener;
  readonly services: ConnectionServices;
  /** Undefined once a tunnel has it that is not inspected. */
  #conn: Conn | undefined;
  /** The record of the last request. */
  #record: RequestRecord;
  /** Made for the first forwarded request. */
  #requests: ClientRequests | undefined = undefined;
  /** The limits under which slots were taken, which a reload does not change, and the user. */
  #clientLimits: Runtime | undefined = undefined;
  #user: string | undefined = undefined;
  #userLimits: Runtime | undefined = undefined;

  constructor(conn: Conn, from: Ip, listener: Listener, services: ConnectionServices, moved?: MovedClient) {
    this.client = from;
    this.clientPort = conn.remotePort;
    this.listener = listener;
    this.services = services;
    this.#conn = conn;
    this.#record = new RequestRecord(this, services.runtime.current);
    if (moved === undefined) services.recorder.opened(this.#record);
    else this.#takeOver(moved);
  }

  get conn(): Conn {
    if (this.#conn === undefined) throw new Error("The connection belongs to a tunnel");
    return this.#conn;
  }

  async serve(moved?: MovedClient): Promise<void> {
    let request = new Request(this.#record, this);
    let end: RequestEnd | "taken" = moved === undefined ? "closed" : "silent";
    try {
      const failure = moved === undefined ? await this.#accept() : "silent";
      if (failure !== undefined && failure !== "silent") await this.#refuse(failure, request);
      const first = moved === undefined ? undefined : await this.#awaitNext(moved.lastActivity);
      for (let next = failure === undefined ? FIRST : first; next !== undefined; next = await this.#awaitNext()) {
        if (next.kind === "taken") {
          end = next.kind;
          break;
        }
        if (next !== FIRST) request = new Request(this.#record, this);
        end = await (next.kind === "planned" ? request.resume(next.resume()) : request.serve(next.head));
        if (end !== "kept") break;
        request.release();
        this.#writeDown();
        // When no other request comes, the client has gone or idled too long.
        end = "silent";
      }
    } catch (error) {
      this.services.reportBug(error, this.#record.id);
      // Between two requests no reply is due.
      if (this.#record.isWritten) this.conn.reset();
      else await request.fail();
    } finally {
      request.release();
      if (end === "tunnel") this.#leaveToTunnel();
      else if (end === "taken") this.#leaveToOther();
      else this.#end(end);
    }
  }

  beginRequest(record: RequestRecord): Failure | undefined {
    const { current } = this.services.runtime;
    record.runtime = current;
    if (current === this.#clientLimits || current.clients?.has(this.client) !== false) return undefined;
    return { detail: "client_not_admitted" };
  }

  takeUserSlot({ user, runtime }: RequestRecord): Failure | undefined {
    // Another request on the same connection can be of another user.
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

  // Records of requests that plans carry out.

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

  makeTap(): TunnelTap {
    return tapTunnel(this.#record, this.services.clientProfiles);
  }

  /** The tunnel of the last request has ended. */
  tunnelOver(result: TunnelResult): void {
    noteTunnelEnd(this.#record, result);
    // A client that was told why is still connected.
    this.#end(result.end === "denied" ? "closed" : "tunnel");
  }

  tunnelTaken(): void {
    this.#record.isWritten = true;
    this.#leaveToOther();
  }

  get slotUser(): string | undefined {
    return this.#userLimits === undefined ? undefined : this.#user;
  }

  /**
   * Reads the PROXY header, takes a slot, and does the TLS handshake, as the
   * listener demands. When the client is refused, `#conn` is the connection over
   * which it is told why, or is closed.
   */
  #accept(): Unaccepted | Promise<Unaccepted> {
    return this.listener.proxyFrom.has(this.client) ? this.#acceptProxied() : this.#admit();
  }

  async #acceptProxied(): Promise<Unaccepted> {
    const read = await readProxyHeader(this.conn, this.#record.handshakeEndsAt);
    if (read === "silent") return this.#turnAway(read);
    if (!read.ok) return this.#turnAway(read.failure);
    this.client = read.value?.ip ?? this.client;
    this.clientPort = read.value?.port ?? this.clientPort;
    return this.#admit();
  }

  #admit(): Unaccepted | Promise<Unaccepted> {
    const { runtime } = this.#record;
    const failure = this.services.admission.admitClient(this.client, runtime, this.conn.fd);
    if (failure !== undefined) return this.#turnAway(failure);
    this.#clientLimits = runtime;
    const { tls } = this.listener;
    return tls === undefined ? undefined : this.#secure(tls);
  }

  async #secure(tls: NonNullable<Listener["tls"]>): Promise<Unaccepted> {
    const accepted = await acceptTls(this.conn, tls, this.#record.handshakeEndsAt);
    if (!accepted.ok) return this.#turnAway(accepted.failure, accepted.conn);
    this.#conn = accepted.conn;
    this.certificate = accepted.certificate;
    return undefined;
  }

  /** `conn` is a connection for the reply. A client that waits for TLS does not understand one in clear. */
  #turnAway(failure: Failure | "silent", conn = this.listener.tls === undefined ? this.conn : undefined) {
    if (conn === undefined || failure === "silent") this.conn.close();
    else this.#conn = conn;
    return failure;
  }

  /** Tells a client that is not accepted why. Where room is short, it is not waited for. */
  async #refuse(failure: Failure, request: Request): Promise<void> {
    const { tls, protocols } = this.listener;
    const isHeard = tls === undefined && failure.detail !== "out_of_resources";
    const key = clientKey(this.client, this.#record.runtime.limits.clientPrefix);
    const reply = isHeard ? await this.services.admission.unreadReplies.find(this.conn, key, protocols) : undefined;
    await request.refuse(failure, true, reply);
  }

  /** Waits for the next request. */
  async #awaitNext(since?: number): Promise<NextRequest | undefined> {
    const next = await this.#keepRequests().next(this.#record, since);
    if (next.kind === "gone") return undefined;
    if (next.kind === "request") this.#record = new RequestRecord(this, this.services.runtime.current);
    return next;
  }

  #keepRequests(): ClientRequests {
    return (this.#requests ??= new ClientRequests(this.conn, this.services, this));
  }

  /** Takes the slots that it held elsewhere. */
  #takeOver({ clientPort, user }: MovedClient): void {
    const { admission, recorder } = this.services;
    const { runtime } = this.#record;
    this.clientPort = clientPort;
    this.#record.protocol = "http";
    this.#record.isWritten = true;
    admission.readmit(this.client, user, runtime);
    this.#clientLimits = runtime;
    this.#user = user;
    if (user !== undefined) this.#userLimits = runtime;
    recorder.received(this.#record, undefined);
  }

  /** The connection is served elsewhere from now on. */
  #leaveToOther(): void {
    this.#releaseRequests();
    this.#record.carriage?.release();
    this.#record.targetSlot?.release();
    this.#record.bandwidth?.release();
    this.#conn = undefined;
    this.#leaveSlots();
    this.services.recorder.gaveAway(this.#record);
  }

  /** Keeps only what the end of the tunnel needs. */
  #leaveToTunnel(): void {
    this.#releaseRequests();
    if (this.#record.inside === undefined) this.#conn = undefined;
  }

  #releaseRequests(): void {
    this.#requests?.release();
    this.#requests = undefined;
  }

  /** Records the last request, once. */
  #writeDown(): void {
    if (this.#record.isWritten) return;
    this.#record.isWritten = true;
    this.#record.carriage?.release();
    this.#record.targetSlot?.release();
    this.#record.bandwidth?.release();
    this.services.recorder.finished(this.#record);
  }

  /** The one end. A connection that lingers keeps its slots until it is closed. */
  #end(end: RequestEnd): void {
    this.#writeDown();
    this.#releaseRequests();
    const conn = this.#conn;
    if (end === "tunnel" || conn === undefined || conn.closed) {
      this.#giveBack();
    } else {
      const ms = end === "silent" ? 0 : grantSending(this.#record.failure);
      this.services.admission.lingering.close(conn, this.#record, ms, () => this.#giveBack());
    }
  }

  #giveBack(): void {
    this.#leaveSlots();
    this.services.recorder.closed(this.#record);
  }

  #leaveSlots(): void {
    this.#leaveUser();
    if (this.#clientLimits !== undefined) this.services.admission.leaveClient(this.client, this.#clientLimits);
    this.#clientLimits = undefined;
  }

  #leaveUser(): void {
    if (this.#userLimits !== undefined) this.services.admission.leaveUser(this.#user, this.#userLimits);
    this.#userLimits = undefined;
  }
}

/** Milliseconds for a 408 to arrive. A client that timed out gets no more time by sending on. */
const LATE_MS = 2000;

/** Milliseconds for which a client may go on sending after its last response. */
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
