import type { Connect, ConnectAttempt, ConnectResult, ConnectTarget } from "../runtime/connect.ts";
import { EPOLLERR, EPOLLHUP, SO_ERROR, SOL_SOCKET } from "../libc/constants.ts";
import { DescriptorConn, WATCHED } from "./descriptor-conn.ts";
import { nameErrno } from "../libc/errno.ts";
import type { Reactor, Watcher } from "./reactor.ts";
import { type StartSocket, startSocket } from "../libc/start-socket.ts";

/** `connectTcp` for connections that the reactor watches. */
export function createDescriptorConnect(reactor: Reactor, start: StartSocket = startSocket): Connect {
  return (target, done) => {
    const started = start(reactor.libc, reactor.descriptors, target);
    if (!started.ok) return failSoon(started.code, done);
    const attempt = new Attempt(reactor, started.fd, target, done);
    // A connection that stands already is writable at once and reported like the others.
    if (reactor.add(started.fd, WATCHED, attempt)) return attempt;
    reactor.closeDescriptor(started.fd);
    return failSoon("ENOMEM", done);
  };
}

/** Later, so that `done` never runs within `connect`. */
function failSoon(code: string, done: (result: ConnectResult) => void): ConnectAttempt {
  let over = false;
  queueMicrotask(() => over || done({ ok: false, code }));
  return {
    cancel() {
      over = true;
    },
  };
}

class Attempt implements ConnectAttempt, Watcher {
  readonly #reactor: Reactor;
  readonly #fd: number;
  readonly #target: ConnectTarget;
  readonly #done: (result: ConnectResult) => void;
  #over = false;
  #conn: DescriptorConn | undefined;

  constructor(reactor: Reactor, fd: number, target: ConnectTarget, done: (result: ConnectResult) => void) {
    this.#reactor = reactor;
    this.#fd = fd;
    this.#target = target;
    this.#done = done;
  }

  onEvent(events: number): void {
    if (this.#over) return;
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0) {
      const code = this.#readError();
      this.cancel();
      this.#done({ ok: false, code });
      return;
    }
    this.#over = true;
    const { ip, port } = this.#target;
    const conn = new DescriptorConn(this.#reactor, this.#fd, ip, port, true);
    this.#conn = conn;
    this.#reactor.replace(this.#fd, conn);
    conn.watchPeer();
    this.#done({ ok: true, conn });
    // A server may have spoken first.
    conn.onEvent(events);
  }

  onBug(): void {
    this.cancel();
    this.#conn?.reset();
  }

  cancel(): void {
    if (this.#over) return;
    this.#over = true;
    this.#reactor.closeDescriptor(this.#fd);
  }

  #readError(): string {
    const errno = new Int32Array(1);
    this.#reactor.libc.getSocketOption(this.#fd, SOL_SOCKET, SO_ERROR, errno);
    return errno[0] === 0 ? "ECONNRESET" : nameErrno(errno[0] ?? 0);
  }
}
