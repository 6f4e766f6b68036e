import type { AddressSet } from "../../address/address-set.ts";
import type { TcpListener } from "../../net/runtime/listen.ts";
import { serveConnection } from "../connection.ts";
import type { Services } from "../services.ts";
import type { ClientProtocol } from "../session.ts";
import type { Listener } from "./accept.ts";
import type { OwnAddresses } from "./own-addresses.ts";
import { recordUnserved } from "./record-unserved.ts";

/** Where to listen. */
export interface ListenPlan {
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  readonly protocols: ReadonlySet<ClientProtocol>;
  readonly proxyFrom: AddressSet;
  readonly tls?: Listener["tls"];
}

export type GateResult =
  | { readonly ok: true; readonly gate: Gate }
  /** Nothing is left bound. `code` is the errno word. */
  | { readonly ok: false; readonly plan: ListenPlan; readonly code: string };

/** The open listeners of a daemon. */
export interface Gate {
  readonly listeners: readonly TcpListener[];
  /** Stops accepting on all of them. Connections live on. */
  close(): void;
}

/** Binds every listener, or none: half a proxy is never opened. */
export function openGate(plans: readonly ListenPlan[], services: Services, own: OwnAddresses): GateResult {
  const listeners: TcpListener[] = [];
  const close = (): void => {
    for (const listener of listeners) listener.stop();
  };
  for (const plan of plans) {
    const { protocols, proxyFrom, tls } = plan;
    let listener: Listener = { name: "", protocols, proxyFrom, tls };
    const bound = services.listen(
      plan.host,
      plan.port,
      (conn, from) => void serveConnection(conn, from, listener, services),
      (from, port) => recordUnserved(from, port, listener, services),
    );
    if (!bound.ok) {
      close();
      return { ok: false, plan, code: bound.code };
    }
    listeners.push(bound.listener);
    listener = { ...listener, name: formatListener(plan.host, bound.listener.port) };
    own.add(plan.host, bound.listener.port);
  }
  return { ok: true, gate: { listeners, close } };
}

/** `host:port`, IPv6 in brackets. */
export function formatListener(host: string, port: number): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
