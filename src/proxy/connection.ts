import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import { accept, type Listener } from "./accept/accept.ts";
import { shareAddress } from "./accept/share-address.ts";
import { ClientRequests, type Next } from "./exchange/client-requests.ts";
import type { ForwardEnd } from "./exchange/forward.ts";
import type { Failure } from "./failure.ts";
import { ConnectionSlots } from "./limit/connection-slots.ts";
import { TOTAL_MS } from "./read/close-lingering.ts";
import { refuse } from "./read/respond.ts";
import { concludePlanned, failRequest, type RequestConnection, type RequestEnd, serveRequest } from "./request.ts";
import type { Services } from "./services.ts";
import { openNextSession, openSession, type Session } from "./session.ts";
import type { TunnelResult } from "./tunnel/tunnel.ts";

/** Serves one accepted connection until its end, or until a tunnel has it. A mistake of ours ends this connection, wherever it happens. */
export function serveConnection(conn: Conn, from: Ip, listener: Listener, services: Services): Promise<void> {
  return new ClientConnection(conn, from, listener, services).serve();
}

/** The request that comes first: nothing of it was read. */
const FIRST: Next = { kind: "request", head: undefined };

/**
 * A client's connection: its listener, the slots that it holds, its requests in
 * turn, and its one end. It lives as long as its tunnel, which may be idle for days.
 */
class ClientConnection implements RequestConnection {
  readonly listener: Listener;
  readonly services: Services;
  target: Conn | undefined = undefined;
  readonly #slots: ConnectionSlots;
  /** Undefined once it belongs to a tunnel that is never refused. */
  #conn: Conn | undefined;
  /** The account of the last request. */
  #session: Session;
  /** Whether that is written down. */
  #isRecorded = false;
  /** Made for the first request that is forwarded. */
  #requests: ClientRequests | undefined = undefined;

  constructor(conn: Conn, from: Ip, listener: Listener, services: Services) {
    this.listener = listener;
    this.services = services;
    this.#slots = new ConnectionSlots(services.admission, services.lingering);
    this.#conn = conn;
    this.#session = openSession(services.runtime.current, shareAddress(from), conn.remotePort, listener.name);
    services.recorder.opened(this.#session);
  }

  async serve(): Promise<void> {
    let end: RequestEnd = "closed";
    try {
      end = await this.#serve();
    } catch (error) {
      this.services.reportBug(error, this.#session.id);
      const conn = this.#conn as Conn;
      // Between two requests there is nobody to tell.
      if (this.#isRecorded) conn.reset();
      else {
        await failRequest(this.#session, conn);
        this.#record();
      }
    } finally {
      if (end !== "tunnel") this.#end(end);
    }
  }

  takeUserSlot(session: Session): Failure | undefined {
    return this.#slots.takeForUser(session);
  }

  forward(task: Parameters<RequestConnection["forward"]>[0]): Promise<ForwardEnd> {
    return this.#keepRequests(this.#conn as Conn).forward(task);
  }

  /** The tunnel of the last request is over. */
  tunnelOver(result: TunnelResult): void {
    this.#session.tunnel = result;
    this.#record();
    const conn = this.#conn;
    // A client that was told why keeps its slots until it is gone.
    if (result.end === "denied" && conn?.closed === false) conn.whenClosed = () => this.#giveBack();
    else this.#giveBack();
  }

  /** Accepts the connection, then serves its requests in turn. */
  async #serve(): Promise<RequestEnd> {
    const accepted = await accept(this.#session, this.#conn as Conn, this.listener, this.#slots);
    const { conn } = accepted;
    this.#conn = conn;
    if (accepted.ok) return this.#serveRequests(conn);
    if (accepted.failure === "silent") conn.close();
    else await refuse(this.#session, conn, accepted.failure, true);
    this.#record();
    return "closed";
  }

  async #serveRequests(conn: Conn): Promise<RequestEnd> {
    let next = FIRST;
    for (;;) {
      const end =
        next.kind === "planned"
          ? await concludePlanned(this.#session, conn, this, next.conclude)
          : await serveRequest(this.#session, conn, this, next.head);
      if (end === "tunnel") {
        this.#releaseOrigins();
        if (this.#session.inside === undefined) this.#conn = undefined;
        return end;
      }
      this.#record();
      if (end !== "kept") return end;
      next = await this.#keepRequests(conn).next(this.#session);
      if (next.kind === "gone") return "silent";
      this.#session =
        next.kind === "planned" ? next.session : openNextSession(this.#session, this.services.runtime.current);
      this.#isRecorded = false;
    }
  }

  #keepRequests(conn: Conn): ClientRequests {
    return (this.#requests ??= new ClientRequests(conn, this.services));
  }

  /** Writes the last request down, which is over. */
  #record(): void {
    this.#isRecorded = true;
    this.services.recorder.finished(this.#session);
  }

  /** The one end of a connection that no tunnel has. */
  #end(end: RequestEnd): void {
    const conn = this.#conn as Conn;
    this.#releaseOrigins();
    this.target?.reset();
    const ms = end === "silent" ? 0 : grantSending(this.#session.failure);
    this.services.lingering.close(conn, this.#session, ms, () => this.#giveBack());
  }

  /** No request is forwarded any more. */
  #releaseOrigins(): void {
    this.#requests?.release();
    this.#requests = undefined;
    if (this.#conn !== undefined) this.services.forwarding.bound.release(this.#conn);
  }

  #giveBack(): void {
    this.#slots.leave(this.#session.client);
    this.services.recorder.closed(this.#session);
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
