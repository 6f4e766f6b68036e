import { type Ip, parseIp } from "../../address/ip.ts";
import { readErrorCode } from "../libc/errno.ts";
import { openLibc } from "../libc/libc.ts";
import { keepUrgentInline } from "../libc/socket.ts";
import { isTooFew } from "../conn/descriptors.ts";
import { SpareDescriptors } from "../libc/spare-descriptors.ts";
import { type OwnedSocket, SocketConn, socketHandlers, type SocketOwner } from "./socket-conn.ts";
import type { Conn } from "../conn/conn.ts";
import { LoopTimers } from "../conn/loop-timers.ts";

/** A bound and accepting TCP listener. */
export interface TcpListener {
  /** As bound: the real port when 0 was asked for. */
  readonly host: string;
  readonly port: number;
  /** Stops accepting and frees the port. Connections live on. */
  stop(): void;
  /** Accepts what waits in the kernel, which `stop` would reset. Absent where the runtime accepts by itself. */
  acceptWaiting?(): void;
  /** Lets a listener of this process be bound to an address that overlaps this one, or not any more. Absent where the runtime binds. */
  share?(allowed: boolean): void;
}

export type ListenResult =
  | { readonly ok: true; readonly listener: TcpListener }
  /** `code` is the errno word (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`). */
  | { readonly ok: false; readonly code: string };

/** Takes an accepted connection, half-open allowed. Nothing of it is read yet. */
export type Accept<Accepted = Conn> = (conn: Accepted, from: Ip) => void;

/** Is told of a connection that was reset as soon as it was accepted, because few descriptors are left. */
export type TurnAway = (from: Ip, port: number) => void;

/**
 * Binds a TCP listener and gives every accepted connection to `accept`. `host` is
 * an address or a name. A connection that has one of the last descriptors is
 * reset and told to `turnAway`; with `"never"` it goes to `accept`, too. `shared`:
 * beside listeners that `share` their address.
 */
export type Listen = (
  host: string,
  port: number,
  accept: Accept,
  turnAway?: TurnAway | "never",
  shared?: boolean,
) => ListenResult;

/**
 * `Listen` over sockets of the runtime. It accepts all connections that wait
 * before anything else has its turn: whoever connects without a pause stops all
 * others. So the event loop over epoll accepts where there is one.
 */
export function listenTcp(
  host: string,
  port: number,
  accept: Accept<SocketConn>,
  turnAway?: TurnAway | "never",
  timers = new LoopTimers(),
): ListenResult {
  const descriptors = new SpareDescriptors();
  const bound = listenRuntime({ hostname: host, port, exclusive: true }, timers, (conn) => {
    // A link-local address comes with its zone: `fe80::1%eth0`.
    const from = parseIp(conn.remoteAddress.split("%", 1)[0] ?? "");
    // A peer that is already gone has no address.
    if (from === undefined) {
      conn.close();
      return;
    }
    if (turnAway !== "never" && isTooFew(descriptors.judge(conn.fd))) {
      const { remotePort } = conn;
      conn.reset();
      turnAway?.(from, remotePort);
      return;
    }
    const libc = openLibc();
    if (libc !== undefined) keepUrgentInline(libc, conn.fd);
    conn.watchPeer();
    accept(conn, from);
  });
  return bound.ok ? { ok: true, listener: { host, ...bound.listener } } : bound;
}

export function listenUnix(path: string, accept: (conn: SocketConn) => void): RuntimeListener {
  return listenRuntime({ unix: path }, new LoopTimers(), accept);
}

type RuntimeListener =
  { readonly ok: true; readonly listener: Omit<TcpListener, "host"> } | Extract<ListenResult, { ok: false }>;

function listenRuntime(
  at: { hostname: string; port: number; exclusive: boolean } | { unix: string },
  timers: LoopTimers,
  accept: (conn: SocketConn) => void,
): RuntimeListener {
  const options = {
    ...at,
    allowHalfOpen: true,
    socket: {
      ...socketHandlers,
      open(socket: OwnedSocket) {
        const conn = new SocketConn(socket, false, timers);
        socket.data = conn;
        accept(conn);
      },
    },
  };
  try {
    const server = Bun.listen<SocketOwner>(options as Bun.TCPSocketListenOptions<SocketOwner>);
    return { ok: true, listener: { port: server.port, stop: () => server.stop(false) } };
  } catch (error) {
    return { ok: false, code: readErrorCode(error) ?? "EUNKNOWN" };
  }
}
