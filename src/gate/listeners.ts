import type { AddressSet } from "../address/address-set.ts";
import type { Ip } from "../address/ip.ts";
import type { Conn } from "../net/conn/conn.ts";
import type { Listen, TcpListener } from "../net/runtime/listen.ts";
import type { Listener } from "../proxy/accept/listener-tls.ts";
import type { ClientProtocol } from "../proxy/record/request-record.ts";

/** Where to listen, and for what. */
export interface ListenPlan {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly protocols: ReadonlySet<ClientProtocol>;
  readonly proxyFrom: AddressSet;
  readonly tls?: Listener["tls"];
}

/** A bound listener. */
export interface BoundListener {
  readonly host: string;
  /** The real port when 0 was asked for. */
  readonly port: number;
  /** `host:port`. */
  readonly name: string;
}

/** Takes the connections that listeners accept. */
export interface ListenerOwner {
  accept(conn: Conn, from: Ip, listener: Listener): void;
  /** A connection was reset right after accept, because no descriptor was left to serve it. */
  turnAway(from: Ip, port: number, listener: Listener): void;
}

export type BindResult =
  | { readonly ok: true; readonly listeners: Listeners }
  /** Nothing is left bound. `code` is the errno word. */
  | { readonly ok: false; readonly plan: ListenPlan; readonly code: string };

/** The listeners of a gate. */
export class Listeners {
  readonly bound: readonly BoundListener[];
  /** What binds the same ones again, with the ports that the system chose. */
  readonly plans: readonly ListenPlan[];
  readonly #sockets: readonly TcpListener[];

  constructor(bound: readonly BoundListener[], plans: readonly ListenPlan[], sockets: readonly TcpListener[]) {
    this.bound = bound;
    this.plans = plans.map((plan, at) => ({ ...plan, port: bound[at]?.port ?? plan.port }));
    this.#sockets = sockets;
  }

  /** Stops accepting on all of them. Connections live on. */
  close(): void {
    for (const socket of this.#sockets) socket.stop();
  }
}

/** Binds every listener, or none. */
export function bindListeners(plans: readonly ListenPlan[], listen: Listen, owner: ListenerOwner): BindResult {
  const bound: BoundListener[] = [];
  const sockets: TcpListener[] = [];
  for (const plan of plans) {
    const { host, protocols, proxyFrom, tls } = plan;
    let listener: Listener = { name: "", protocols, proxyFrom, tls };
    const result = listen(
      host,
      plan.port,
      (conn, from) => owner.accept(conn, from, listener),
      (from, port) => owner.turnAway(from, port, listener),
    );
    if (!result.ok) {
      for (const socket of sockets) socket.stop();
      return { ok: false, plan, code: result.code };
    }
    const { port } = result.listener;
    listener = { ...listener, name: formatListener(host, port) };
    sockets.push(result.listener);
    bound.push({ host, port, name: listener.name });
  }
  return { ok: true, listeners: new Listeners(bound, plans, sockets) };
}

/** `host:port`, IPv6 in brackets. */
export function formatListener(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
