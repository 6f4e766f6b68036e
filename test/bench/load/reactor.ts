import {
  AF_INET,
  EPOLLIN,
  EPOLLOUT,
  IPPROTO_TCP,
  SO_REUSEADDR,
  O_CLOEXEC,
  O_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_NODELAY,
} from "../../../src/net/libc/constants.ts";
import { createEpoll, Epoll } from "../../../src/net/epoll/epoll.ts";
import { EINPROGRESS } from "../../../src/net/libc/errno.ts";
import { openLibc, type Libc } from "../../../src/net/libc/libc.ts";

/** Somebody who hears of events on a descriptor. */
export interface Handler {
  onEvent(events: number): void;
}

const on = Int32Array.of(1);
/** For the address of an accepted connection. */
const unused = new Uint8Array(16);

/** A bare event loop over epoll, so that a load costs as little as can be. It blocks its process, which does nothing else. */
export class Reactor {
  readonly libc: Libc;
  readonly #epoll: Epoll;
  readonly #handlers: (Handler | undefined)[] = [];

  constructor() {
    const libc = openLibc();
    if (libc === undefined) throw new Error("The bench needs Linux and a known C library.");
    this.libc = libc;
    this.#epoll = new Epoll(libc, createEpoll(libc), 512);
  }

  watch(fd: number, handler: Handler, interest = EPOLLIN): void {
    this.#handlers[fd] = handler;
    if (this.#epoll.add(fd, interest, fd, 0) < 0) throw new Error(`epoll refuses descriptor ${fd}.`);
  }

  change(fd: number, interest: number): void {
    this.#epoll.modify(fd, interest, fd, 0);
  }

  /** Closes a descriptor and forgets its handler. */
  close(fd: number): void {
    this.#handlers[fd] = undefined;
    this.libc.close(fd);
  }

  /** Handles what is there, waiting up to `timeoutMs` for it. */
  turn(timeoutMs: number): void {
    const count = this.#epoll.wait(timeoutMs);
    for (let index = 0; index < count; index += 1)
      this.#handlers[this.#epoll.tokenAt(index)]?.onEvent(this.#epoll.eventsAt(index));
  }

  /** Begins to connect to a loopback port; the descriptor is writable when that is done. */
  connect(port: number): number {
    const fd = this.#openSocket();
    const result = this.libc.connect(fd, encodeLoopback(port));
    if (result < 0 && result !== -EINPROGRESS)
      throw new Error(`Cannot connect to 127.0.0.1:${port}: error ${-result}.`);
    return fd;
  }

  /** Listens on a loopback port. */
  listen(port: number): number {
    const fd = this.#openSocket();
    this.libc.setSocketOption(fd, SOL_SOCKET, SO_REUSEADDR, on);
    const result = this.libc.bind(fd, encodeLoopback(port)) || this.libc.listen(fd, 4096);
    if (result < 0) throw new Error(`Cannot listen on 127.0.0.1:${port}: error ${-result}.`);
    return fd;
  }

  /** Accepts one connection, or gives undefined when there is none. */
  accept(fd: number): number | undefined {
    const accepted = this.libc.acceptFrom(fd, unused, O_NONBLOCK | O_CLOEXEC);
    if (accepted < 0) return undefined;
    this.libc.setSocketOption(accepted, IPPROTO_TCP, TCP_NODELAY, on);
    return accepted;
  }

  #openSocket(): number {
    const fd = this.libc.socket(AF_INET, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0);
    if (fd < 0) throw new Error(`Cannot open a socket: error ${-fd}.`);
    this.libc.setSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, on);
    return fd;
  }
}

export const readable = EPOLLIN;
export const writable = EPOLLOUT;

/** `struct sockaddr_in` for 127.0.0.1: family in the machine's order (little-endian here), port and address in network order. */
function encodeLoopback(port: number): Uint8Array {
  return Uint8Array.of(AF_INET, 0, port >> 8, port & 255, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0);
}
