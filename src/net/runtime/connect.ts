import type { FdSocketOptions, Socket, SocketHandler, TCPSocketConnectOptions } from "bun";
import type { Ip } from "../../address/ip.ts";
import { openLibc } from "../libc/libc.ts";
import { SpareDescriptors } from "../libc/spare-descriptors.ts";
import { startSocket } from "../epoll/start-socket.ts";
import { SocketConn, socketConnHandlers } from "./socket-conn.ts";
import type { Conn } from "../conn/conn.ts";

export interface ConnectTarget {
  readonly ip: Ip;
  readonly port: number;
  /** Local address to connect from; of the same family, or the connection fails with `EAFNOSUPPORT`. Linux only. */
  readonly source?: Ip;
}

export type ConnectResult<Made = Conn> =
  | { readonly ok: true; readonly conn: Made }
  /** `code` is the errno word: `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, `EMFILE`… */
  | { readonly ok: false; readonly code: string };

/** A connection being made. */
export interface ConnectAttempt {
  /** Gives it up, and frees its socket. `done` is not called any more. */
  cancel(): void;
}

/** How connections are made; tests put their own in its place. */
export type Connect<Made = Conn> = (
  target: ConnectTarget,
  done: (result: ConnectResult<Made>) => void,
) => ConnectAttempt;

/**
 * Connects to an address, half-open allowed, and calls `done` once, never
 * before it returns. There is no deadline but the kernel's own, about two minutes.
 *
 * On Linux the socket is made by system calls and given to Bun while it still
 * connects: only so can a source address be chosen, and an attempt be given up
 * without leaving its socket behind.
 */
export const connectTcp: Connect<SocketConn> = (target, done) => {
  const libc = openLibc();
  if (libc === undefined) return connectWithBun(target, done);
  const started = startSocket(libc, new SpareDescriptors(), target.ip, target.port, target.source);
  const attempt = new Attempt(done);
  if (started.ok) attempt.connect({ fd: started.fd }, started.connected);
  else attempt.failSoon(started.code);
  return attempt;
};

/**
 * Does what `connectTcp` does where no system calls can be made: an attempt that
 * is given up keeps its socket until the kernel tires of it, and a source address
 * fails with `EOPNOTSUPP`.
 */
export const connectWithBun: Connect<SocketConn> = ({ ip, port, source }, done) => {
  const attempt = new Attempt(done);
  if (source === undefined) attempt.connect({ hostname: ip.text, port });
  else attempt.failSoon("EOPNOTSUPP");
  return attempt;
};

/** Sockets that are adopted and not connected yet, by the connection they will be. */
const connecting = new Map<SocketConn, Attempt>();

/** While connecting, `data` is the attempt; from `open` on it is the connection. */
type AttemptSocket = Socket<Attempt | SocketConn>;

/** Bun's declarations do not say that `connect` takes a descriptor, too. */
const connectSocket = Bun.connect as (
  options: TCPSocketConnectOptions<Attempt | SocketConn> | FdSocketOptions<Attempt | SocketConn>,
) => Promise<unknown>;

const NOTHING = new Uint8Array(0);

class Attempt implements ConnectAttempt {
  readonly #done: (result: ConnectResult<SocketConn>) => void;
  #over = false;
  #conn: SocketConn | undefined;
  #connected = true;

  constructor(done: (result: ConnectResult<SocketConn>) => void) {
    this.#done = done;
  }

  connect(where: { hostname: string; port: number } | { fd: number }, connected = true): void {
    this.#connected = connected;
    // Bun rejects for what `connectError` tells, too.
    connectSocket({ ...where, allowHalfOpen: true, data: this, socket: handlers }).catch((error: unknown) => {
      // A descriptor that was not taken is still ours.
      if ("fd" in where && this.#conn === undefined) openLibc()?.close(where.fd);
      this.fail(readCode(error));
    });
  }

  /** On a later turn, so that `done` never runs inside `connectTcp`. */
  failSoon(code: string): void {
    queueMicrotask(() => this.fail(code));
  }

  open(socket: AttemptSocket): void {
    const conn = new SocketConn(socket as Socket<SocketConn>, false);
    socket.data = conn;
    this.#conn = conn;
    if (this.#over) conn.reset();
    else if (this.#connected) this.succeed(conn);
    else {
      connecting.set(conn, this);
      // Nothing can be written before there is a connection, so `drain` tells when there is one.
      socket.write(NOTHING);
    }
  }

  succeed(conn: SocketConn): void {
    connecting.delete(conn);
    if (this.#over) return;
    this.#over = true;
    conn.watchPeer();
    this.#done({ ok: true, conn });
  }

  fail(code: string): void {
    if (this.#conn !== undefined) connecting.delete(this.#conn);
    if (this.#over) return;
    this.#over = true;
    this.#done({ ok: false, code });
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#conn === undefined) return;
    connecting.delete(this.#conn);
    this.#conn.reset();
  }
}

const handlers: SocketHandler<Attempt | SocketConn> = {
  open(socket) {
    if (socket.data instanceof Attempt) socket.data.open(socket);
  },
  connectError(socket, error) {
    if (socket.data instanceof Attempt) socket.data.fail(readCode(error));
  },
  data(socket, chunk) {
    const conn = socket.data as SocketConn;
    if (connecting.size > 0) connecting.get(conn)?.succeed(conn);
    conn.onData(chunk);
  },
  end(socket) {
    const conn = socket.data as SocketConn;
    if (connecting.size > 0) connecting.get(conn)?.succeed(conn);
    conn.onEnd();
  },
  drain(socket) {
    const conn = socket.data as SocketConn;
    if (connecting.size > 0) connecting.get(conn)?.succeed(conn);
    conn.onDrain();
  },
  close(socket, error) {
    if (socket.data instanceof Attempt) {
      socket.data.fail(readCode(error));
      return;
    }
    connecting.get(socket.data)?.fail(readCode(error));
    socket.data.onClose(error);
  },
  error(socket, error) {
    if (!(socket.data instanceof Attempt)) void socketConnHandlers.error?.(socket as Socket<SocketConn>, error);
  },
};

function readCode(error: unknown): string {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  return typeof code === "string" ? code : "ECONNRESET";
}
