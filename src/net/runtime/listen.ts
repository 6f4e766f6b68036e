import { lstatSync, unlinkSync } from "node:fs";
import { type Ip, parseIp } from "../../address/ip.ts";
import { AF_UNIX, O_CLOEXEC, O_NONBLOCK, SOCK_STREAM } from "../libc/constants.ts";
import { readErrorCode } from "../../error-code.ts";
import { ENAMETOOLONG, nameErrno } from "../libc/errno.ts";
import { type Libc, openLibc } from "../libc/libc.ts";
import { encodeUnixAddress, readSocketPort, socketAddressBytes } from "../libc/socket-address.ts";
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
  /** The listening socket, which belongs to the listener; undefined where the runtime does not tell it. */
  readonly fd?: number | undefined;
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

/** Connections to a Unix socket that may wait to be accepted. */
const UNIX_BACKLOG = 512;

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
 * others. So the event loop over epoll accepts where there is one. `passed` is a
 * socket that listens at that address already, and belongs to the listener.
 */
export function listenTcp(
  host: string,
  port: number,
  accept: Accept<SocketConn>,
  turnAway?: TurnAway | "never",
  timers = new LoopTimers(),
  passed?: number,
): ListenResult {
  const descriptors = new SpareDescriptors();
  const at = passed === undefined ? { hostname: host, port, exclusive: true } : { fd: passed };
  const bound = listenRuntime(at, timers, (conn) => {
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

/**
 * Binds a listener on a Unix socket. `passed` is a socket that listens at that path
 * already. Where there is a C library to call, `stop` leaves the path to whoever
 * listens there by then; the runtime would remove it.
 */
export function listenUnix(path: string, accept: (conn: SocketConn) => void, passed?: number): RuntimeListener {
  const libc = openLibc();
  const fd = passed ?? (libc && bindUnix(libc, path));
  if (fd === undefined) return listenRuntime({ unix: path }, new LoopTimers(), accept);
  if (fd < 0) return { ok: false, code: nameErrno(-fd) };
  const mark = markFile(path);
  const bound = listenRuntime({ fd }, new LoopTimers(), accept);
  if (!bound.ok) {
    libc?.close(fd);
    return bound;
  }
  const { listener } = bound;
  return {
    ok: true,
    listener: {
      ...listener,
      stop({ keepPath = false } = {}) {
        listener.stop();
        if (!keepPath && mark !== undefined && markFile(path) === mark) unlinkSync(path);
      },
    },
  };
}

/** A listening Unix socket, or a negated error number. */
function bindUnix(libc: Libc, path: string): number {
  const address = encodeUnixAddress(path);
  if (address === undefined) return -ENAMETOOLONG;
  const fd = libc.socket(AF_UNIX, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return fd;
  const bound = libc.bind(fd, address);
  const result = bound < 0 ? bound : libc.listen(fd, UNIX_BACKLOG);
  if (result < 0) libc.close(fd);
  return result < 0 ? result : fd;
}

/** Tells one file at a path from a later one; undefined without one. */
function markFile(path: string): string | undefined {
  const found = lstatSync(path, { throwIfNoEntry: false, bigint: true });
  return found && `${found.dev}:${found.ino}:${found.birthtimeNs}`;
}

type RuntimeListener =
  | {
      readonly ok: true;
      readonly listener: Omit<TcpListener, "host" | "stop"> & {
        /** `keepPath`: another process goes on at the path of a Unix socket. */
        stop(options?: { readonly keepPath?: boolean }): void;
      };
    }
  | Extract<ListenResult, { ok: false }>;

function listenRuntime(
  at: { hostname: string; port: number; exclusive: boolean } | { unix: string } | { fd: number },
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
    const server = Bun.listen<SocketOwner>(options as unknown as Bun.TCPSocketListenOptions<SocketOwner>);
    const fd = readDescriptor(server);
    // The runtime knows no port of a socket that it did not bind.
    const port = "fd" in at ? readBoundPort(at.fd) : server.port;
    return { ok: true, listener: { port, fd, stop: () => server.stop(false) } };
  } catch (error) {
    return { ok: false, code: readErrorCode(error) ?? "EUNKNOWN" };
  }
}

/** The types of the runtime do not know this member. */
function readDescriptor(server: object): number | undefined {
  return "fd" in server && typeof server.fd === "number" && server.fd >= 0 ? server.fd : undefined;
}

function readBoundPort(fd: number): number {
  const address = new Uint8Array(socketAddressBytes);
  openLibc()?.getSocketName(fd, address);
  return readSocketPort(address);
}
