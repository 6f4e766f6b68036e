import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import { acceptTls } from "./accept/accept-tls.ts";
import type { Listener } from "./accept/listener-tls.ts";
import { type Peer, readProxyHeader } from "./accept/read-proxy-header.ts";
import type { ShownCertificate } from "./auth/identify.ts";
import { ClientRequests, type ForwardServices, type Next } from "./exchange/client-requests.ts";
import type { ForwardEnd } from "./exchange/forward.ts";
import type { Failure } from "./failure.ts";
import type { Admission } from "./limit/admission.ts";
import { TOTAL_MS } from "./read/close-lingering.ts";
import { httpReply, type Reply } from "./read/reply.ts";
import type { Recorder } from "./record/recorder.ts";
import {
  concludePlanned,
  failRequest,
  noteTunnelEnd,
  refuse,
  type RequestConnection,
  type RequestEnd,
  type RequestServices,
  serveRequest,
} from "./request.ts";
import type { Runtime, RuntimeHolder } from "./runtime.ts";
import { type RecordedConnection, type RequestIds, RequestRecord } from "./record/request-record.ts";
import type { TunnelResult } from "./tunnel/tunnel.ts";

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

/** The request that comes first: nothing of it was read. */
const FIRST: Next = { kind: "request", head: undefined };

/**
 * A client's connection: its peer and its listener, the slots that it holds, its
 * requests in turn, and its one end. It lives as long as its tunnel, which may be
 * idle for days.
 */
class ClientConnection implements RequestConnection, RecordedConnection {
  client: Ip;
  clientPort: number;
  certificate: ShownCertificate | undefined = undefined;
  readonly listener: Listener;
  readonly services: ConnectionServices;
  reply: Reply = httpReply;
  target: Conn | undefined = undefined;
  /** Undefined once it belongs to a tunnel that is never refused. */
  #conn: Conn | undefined;
  /** The record of the last request. */
  #record: RequestRecord;
  /** Whether that is written down. */
  #isRecorded = false;
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

  async serve(): Promise<void> {
    let end: RequestEnd = "closed";
    try {
      end = (await this.#accept()) ?? (await this.#serveRequests());
    } catch (error) {
      this.services.reportBug(error, this.#record.id);
      // Between two requests there is nobody to tell.
      if (this.#isRecorded) this.#conn?.reset();
      else await failRequest(this.#record, this.#conn as Conn, this.reply);
    } finally {
      if (end !== "tunnel") this.#end(end);
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

  forward(task: Parameters<RequestConnection["forward"]>[0]): Promise<ForwardEnd> {
    return this.#keepRequests().forward(task);
  }

  /** The tunnel of the last request is over. */
  tunnelOver(result: TunnelResult): void {
    noteTunnelEnd(this.#record, result);
    this.#end(result.end === "denied" ? "denied" : "tunnel");
  }

  /** Reads the PROXY header, takes a slot, and speaks TLS, as the listener asks for it. Undefined when requests may follow. */
  async #accept(): Promise<RequestEnd | undefined> {
    const { listener, services } = this;
    const conn = this.#conn as Conn;
    // A client that waits for TLS does not understand an answer in clear.
    const clear = listener.tls === undefined ? conn : undefined;
    const { handshakeEndsAt, runtime } = this.#record;
    if (listener.proxyFrom.has(this.client)) {
      const read = await readProxyHeader(conn, handshakeEndsAt);
      if (read === "silent") return this.#turnAway(read);
      if (!read.ok) return this.#turnAway(read.failure, clear);
      this.client = read.value?.ip ?? this.client;
      this.clientPort = read.value?.port ?? this.clientPort;
    }
    const failure = services.admission.admitClient(this.client, runtime, conn.fd);
    if (failure !== undefined) return this.#turnAway(failure, clear);
    this.#clientLimits = runtime;
    if (listener.tls === undefined) return undefined;
    const accepted = await acceptTls(conn, listener.tls, handshakeEndsAt);
    if (!accepted.ok) return this.#turnAway(accepted.failure, accepted.conn);
    this.#conn = accepted.conn;
    this.certificate = accepted.certificate;
    return undefined;
  }

  /** Tells a client why it is not accepted, over `told`, if there is a connection on which it understands that. */
  async #turnAway(failure: Failure | "silent", told?: Conn): Promise<RequestEnd> {
    if (told === undefined) this.#conn?.close();
    else this.#conn = told;
    if (failure !== "silent") await refuse(this.#record, this.#conn as Conn, this.reply, failure, true);
    return "closed";
  }

  async #serveRequests(): Promise<RequestEnd> {
    const conn = this.#conn as Conn;
    let next = FIRST;
    for (;;) {
      const end =
        next.kind === "planned"
          ? await concludePlanned(this.#record, conn, this, next.conclude)
          : await serveRequest(this.#record, conn, this, next.head);
      if (end === "tunnel") {
        this.#leaveToTunnel();
        return end;
      }
      if (end !== "kept") return end;
      this.#writeDown();
      next = await this.#keepRequests().next(this.#record);
      if (next.kind === "gone") return "silent";
      this.#record = next.kind === "planned" ? next.record : new RequestRecord(this, this.services.runtime.current);
      this.#isRecorded = false;
    }
  }

  #keepRequests(): ClientRequests {
    return (this.#requests ??= new ClientRequests(this.#conn as Conn, this.services));
  }

  /** Keeps no more than what the end of the tunnel takes. */
  #leaveToTunnel(): void {
    this.#releaseRequests();
    this.reply = httpReply;
    if (this.#record.inside === undefined) this.#conn = undefined;
  }

  #releaseRequests(): void {
    this.#requests?.release();
    this.#requests = undefined;
  }

  /** Writes the last request down, which is over. */
  #writeDown(): void {
    if (this.#isRecorded) return;
    this.#isRecorded = true;
    this.services.recorder.finished(this.#record);
  }

  /**
   * The one end. `denied`: the tunnel has told the client why, which keeps its
   * slots until it is gone.
   */
  #end(end: RequestEnd | "denied"): void {
    this.#writeDown();
    this.#releaseRequests();
    this.target?.reset();
    const conn = this.#conn;
    if (end === "tunnel" || conn === undefined || conn.closed) {
      this.#giveBack();
    } else if (end === "denied") {
      conn.whenClosed = () => this.#giveBack();
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
