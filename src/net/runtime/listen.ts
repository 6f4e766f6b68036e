import { type Ip, parseIp } from "../../address/ip.ts";
import { openLibc } from "../libc/libc.ts";
import { keepUrgentInline } from "../libc/socket.ts";
import { isTooFew } from "../conn/descriptors.ts";
import { SpareDescriptors } from "../libc/spare-descriptors.ts";
import { SocketConn, socketConnHandlers } from "./socket-conn.ts";
import type { Conn } from "../conn/conn.ts";
import { LoopTimers } from "../conn/loop-timers.ts";

/** A bound and accepting TCP listener. */
export interface TcpListener {
  /** As bound: the real port when 0 was asked for. */
  readonly host: string;
  readonly port: number;
  /** Stops accepting and frees the port. Connections live on. */
  stop(): void;
}

export type ListenResult =
  | { readonly ok: true; readonly listener: TcpListener }
  /** `code` is the errno word (`EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`). */
  | { readonly ok: false; readonly code: string };

/** Takes an accepted connection, with nothing of it read yet, half-open allowed. */
export type Accept<Accepted = Conn> = (conn: Accepted, from: Ip) => void;

/** Hears of a connection that was reset as soon as it was accepted, because the last descriptors are needed to go on. */
export type TurnAway = (from: Ip, port: number) => void;

/** How listeners are bound. `host` is an address or a name. */
export type Listen = (host: string, port: number, accept: Accept, turnAway?: TurnAway) => ListenResult;

/**
 * Binds a TCP listener and hands every accepted connection to `accept`, over a
 * socket of the runtime. One that has one of the last descriptors is reset and
 * told to `turnAway`; with `"never"` it goes to `accept`, too.
 */
export function listenTcp(
  host: string,
  port: number,
  accept: Accept<SocketConn>,
  turnAway?: TurnAway | "never",
  timers = new LoopTimers(),
): ListenResult {
  const descriptors = new SpareDescriptors();
  try {
    const server = Bun.listen<SocketConn>({
      hostname: host,
      port,
      exclusive: true,
      allowHalfOpen: true,
      socket: {
        ...socketConnHandlers,
        open(socket) {
          const conn = new SocketConn(socket, false, timers);
          socket.data = conn;
          // A link-local address comes with its zone: `fe80::1%eth0`.
          const from = parseIp(conn.remoteAddress.split("%", 1)[0] ?? "");
          // A client that is gone before it was looked at has no address any more.
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
        },
      },
    });
    return { ok: true, listener: { host, port: server.port, stop: () => server.stop(false) } };
  } catch (error) {
    return { ok: false, code: readErrnoWord(error) };
  }
}

function readErrnoWord(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "EUNKNOWN";
}
