import type { FdSocketOptions, SocketHandler, TCPSocketConnectOptions } from "bun";
import type { Ip } from "../../address/ip.ts";
import { readErrorCode } from "../../error-code.ts";
import { openLibc } from "../libc/libc.ts";
import { SpareDescriptors } from "../libc/spare-descriptors.ts";
import { startSocket } from "../libc/start-socket.ts";
import { type OwnedSocket, PendingSocket, SocketConn, socketHandlers, type SocketOwner } from "./socket-conn.ts";
import type { Conn } from "../conn/conn.ts";
import { LoopTimers } from "../conn/loop-timers.ts";

export interface ConnectTarget {
  readonly ip: Ip;
  readonly port: number;
  /** Local address to connect from. Another family fails with `EAFNOSUPPORT`. Linux only. */
  readonly source?: Ip;
}

export type ConnectResult<Made = Conn> =
  | { readonly ok: true; readonly conn: Made }
  /** `code` is the errno word: `ECONNREFUSED`, `ETIMEDOUT`, `ENETUNREACH`, `EMFILE`… */
  | { readonly ok: false; readonly code: string };

/** A connection being made. */
export interface ConnectAttempt {
  /** Gives it up and closes its socket. `done` is not called any more. */
  cancel(): void;
}

/** Makes connections; tests have their own. */
export type Connect<Made = Conn> = (
  target: ConnectTarget,
  done: (result: ConnectResult<Made>) => void,
) => ConnectAttempt;

/**
 * Connects to an address, half-open allowed, and calls `done` once, never
 * before it returns. Its only deadline is the kernel's, about two minutes.
 *
 * On Linux system calls make the socket, and Bun gets it while it connects: so
 * a source address can be chosen, and an attempt given up closes its socket.
 */
export function connectTcp(
  target: ConnectTarget,
  done: (result: ConnectResult<SocketConn>) => void,
  timers = new LoopTimers(),
): ConnectAttempt {
  const libc = openLibc();
  if (libc === undefined) return connectWithBun(target, done, timers);
  const started = startSocket(libc, new SpareDescriptors(), target);
  const attempt = new Attempt(done, timers);
  if (started.ok) attempt.connect({ fd: started.fd }, started.connected);
  else attempt.failSoon(started.code);
  return attempt;
}

/**
 * `connectTcp` where no system calls can be made: an attempt that is given up
 * keeps its socket until the kernel's deadline, and a source address fails with
 * `EOPNOTSUPP`.
 */
export function connectWithBun(
  { ip, port, source }: ConnectTarget,
  done: (result: ConnectResult<SocketConn>) => void,
  timers = new LoopTimers(),
): ConnectAttempt {
  const attempt = new Attempt(done, timers);
  if (source === undefined) attempt.connect({ hostname: ip.text, port });
  else attempt.failSoon("EOPNOTSUPP");
  return attempt;
}

/** Bun's declarations do not say that `connect` takes a descriptor, too. */
const connectSocket = Bun.connect as (
  options: TCPSocketConnectOptions<SocketOwner> | FdSocketOptions<SocketOwner>,
) => Promise<unknown>;

const NOTHING = new Uint8Array(0);

class Attempt extends PendingSocket implements ConnectAttempt {
  readonly #done: (result: ConnectResult<SocketConn>) => void;
  readonly #timers: LoopTimers;
  #over = false;
  #socket: OwnedSocket | undefined;
  #connected = true;

  constructor(done: (result: ConnectResult<SocketConn>) => void, timers: LoopTimers) {
    super();
    this.#done = done;
    this.#timers = timers;
  }

  connect(where: { hostname: string; port: number } | { fd: number }, connected = true): void {
    this.#connected = connected;
    // Bun rejects the promise and calls `connectError` for the same failure.
    connectSocket({ ...where, allowHalfOpen: true, data: this, socket: handlers }).catch((error: unknown) => {
      // A descriptor that was not taken is still ours.
      if ("fd" in where && this.#socket === undefined) openLibc()?.close(where.fd);
      this.#fail(readErrorCode(error) ?? "ECONNRESET");
    });
  }

  /** Later, so that `done` never runs within `connectTcp`. */
  failSoon(code: string): void {
    queueMicrotask(() => this.#fail(code));
  }

  open(socket: OwnedSocket): void {
    this.#socket = socket;
    if (this.#over) socket.terminate();
    else if (this.#connected) this.#succeed();
    // Nothing can be written before the connection stands, so `drain` reports that it does.
    else socket.write(NOTHING);
  }

  override onData(chunk: Uint8Array): void {
    this.#succeed()?.onData(chunk);
  }

  override onEnd(): void {
    this.#succeed()?.onEnd();
  }

  override onDrain(): void {
    this.#succeed()?.onDrain();
  }

  fail(error: Error | undefined): void {
    this.#fail(readErrorCode(error) ?? "ECONNRESET");
  }

  cancel(): void {
    this.#over = true;
    this.#socket?.terminate();
  }

  #succeed(): SocketConn | undefined {
    if (this.#over || this.#socket === undefined) return undefined;
    this.#over = true;
    const conn = new SocketConn(this.#socket, false, this.#timers);
    this.#socket.data = conn;
    conn.watchPeer();
    this.#done({ ok: true, conn });
    return conn;
  }

  #fail(code: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#done({ ok: false, code });
  }
}

const handlers: SocketHandler<SocketOwner> = {
  ...socketHandlers,
  open(socket) {
    if (socket.data instanceof Attempt) socket.data.open(socket);
  },
  connectError(socket, error) {
    if (socket.data instanceof Attempt) socket.data.fail(error);
  },
};
