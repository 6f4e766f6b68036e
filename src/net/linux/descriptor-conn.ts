import type { Ip } from "../../address/ip.ts";
import { BufferedConn } from "../buffered-conn.ts";
import { keepAlive, turnOnKeepAlive } from "../keep-alive.ts";
import {
  EPOLLERR,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  IPPROTO_TCP,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SO_KEEPALIVE,
  SOL_SOCKET,
  TCP_KEEPIDLE,
} from "./constants.ts";
import { isTransient } from "./errno.ts";
import type { Reactor, Watcher } from "./reactor.ts";
import { finishSocket } from "./socket.ts";
import { readSocketIp, readSocketPort, socketAddressBytes } from "./socket-address.ts";
import type { Detachable } from "./take-over.ts";

/** Not watched at all. */
const UNWATCHED = -1;
const ON = Int32Array.of(1);
const sendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;

/** A plain TCP connection over a descriptor that the reactor watches. */
export class DescriptorConn extends BufferedConn implements Watcher {
  readonly encrypted = false;
  readonly remotePort: number;
  readonly #reactor: Reactor;
  readonly #remote: Ip;
  readonly #fd: number;
  /** What epoll watches for. */
  #interest: number;
  /** A write did not take all. */
  #blocked = false;
  /** FIN was sent. */
  #shut = false;
  /** A write was told of the peer's reset, and the system tells of it only once: what looks like an end now is none. */
  #broken = false;
  /** Both directions of the socket are shut down while bytes are still to be read: epoll would say so without end. */
  #hungUp = false;

  /** Owns `fd`, a connected non-blocking socket; `interest` is what the reactor watches it for already. */
  constructor(reactor: Reactor, fd: number, remote: Ip, remotePort: number, interest = UNWATCHED) {
    super();
    this.#reactor = reactor;
    this.#fd = fd;
    this.#remote = remote;
    this.remotePort = remotePort;
    this.#interest = interest;
  }

  get fd(): number {
    return this.closed ? -1 : this.#fd;
  }
  get remoteAddress(): string {
    return this.#remote.text;
  }
  get localAddress(): string {
    return readSocketIp(this.#readLocal())?.text ?? "";
  }
  get localPort(): number {
    return readSocketPort(this.#readLocal());
  }

  /** Notices a peer that vanished, from when the connection has lived for a while. */
  watchPeer(): void {
    keepAlive.add(this);
  }

  setKeepAlive(initialDelayMs: number): void {
    const { libc } = this.#reactor;
    libc.setSocketOption(this.#fd, SOL_SOCKET, SO_KEEPALIVE, ON);
    libc.setSocketOption(this.#fd, IPPROTO_TCP, TCP_KEEPIDLE, Int32Array.of(initialDelayMs / 1000));
  }

  write(bytes: Uint8Array): number {
    if (this.closed || this.#shut) return -1;
    // What does not fit now waits with the caller until it does.
    if (this.#blocked) return 0;
    const sent = this.#reactor.libc.send(this.#fd, bytes, bytes.length, sendFlags);
    if (sent < 0 && !isTransient(sent)) {
      this.#broken = true;
      this.settleReader();
      return -1;
    }
    const taken = Math.max(0, sent);
    this.bytesWritten += taken;
    if (taken < bytes.length) {
      this.#blocked = true;
      this.#watch();
    }
    return taken;
  }

  shutdown(): void {
    if (this.closed || this.#shut) return;
    this.#shut = true;
    this.#blocked = false;
    finishSocket(this.#reactor.libc, this.#fd);
    // Both sides are done. Later: the consumer is in the middle of a call.
    if (this.ended) queueMicrotask(() => this.#end(false, false));
  }

  reset(): void {
    if (this.closed) return;
    this.#reactor.reset(this.#fd);
    this.#leave(false, true);
  }

  close(): void {
    this.#end(false, true);
  }

  /** No byte ever waits here to be written. */
  get detachable(): Detachable | undefined {
    if (this.closed) return undefined;
    return {
      take: () => {
        if (this.#interest !== UNWATCHED) this.#reactor.remove(this.#fd);
        this.#interest = UNWATCHED;
        return this.#fd;
      },
      giveBack: () => this.#watch(),
      leave: () => {
        keepAlive.remove(this);
        turnOnKeepAlive(this);
        this.forgetConsumer();
      },
    };
  }

  /** Gives the descriptor to the caller, and what is unread; undefined when the connection is gone. Nobody here hears of it any more. */
  takeAway(): { readonly fd: number; readonly unread: Uint8Array | undefined } | undefined {
    if (this.closed) return undefined;
    if (this.#interest !== UNWATCHED) this.#reactor.remove(this.#fd);
    keepAlive.remove(this);
    const unread = this.takeWaiting();
    this.forgetConsumer();
    return { fd: this.#fd, unread };
  }

  // What the reactor tells.

  onEvent(events: number): void {
    if ((events & EPOLLOUT) !== 0) this.#drain();
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) !== 0 && !this.closed) this.#read(events);
  }

  onBug(): void {
    this.reset();
  }

  protected settleReader(): void {
    // An event that nobody wants any more is noticed when it comes: most pauses are over before.
    if (!this.silent) this.#watch();
    // Nobody would ever read that the connection is gone. Later: the consumer is in the middle of a call.
    else if (this.#broken) queueMicrotask(() => this.#end(true, true));
  }

  #drain(): void {
    if (this.#blocked) {
      this.#blocked = false;
      this.tellDrain();
    }
    if (!this.closed) this.#watch();
  }

  #read(events: number): void {
    const gone = (events & EPOLLERR) !== 0 || ((events & EPOLLHUP) !== 0 && !this.#shut);
    if (this.ended || this.silent) {
      this.#hungUp = (events & EPOLLHUP) !== 0;
      // A reset is told even to a consumer that asked for silence.
      if (gone) this.#end(true, true);
      else this.#watch();
      return;
    }
    const received = this.#reactor.receive(this.#fd);
    if (typeof received !== "number") this.tellData(received);
    else if (received !== 0) {
      if (!isTransient(received)) this.#end(true, true);
    } else if (this.#broken || gone) this.#end(true, true);
    else {
      this.tellEnd();
      if (this.#shut) this.#end(false, false);
      else if (!this.closed) this.#watch();
    }
  }

  /** Has epoll watch for what is wanted now. */
  #watch(): void {
    const reads = !this.ended && !this.silent;
    const wanted = (reads ? EPOLLIN : 0) | (this.#blocked ? EPOLLOUT : 0);
    if (wanted === this.#interest) return;
    if (wanted === 0 && this.#hungUp) {
      if (this.#interest !== UNWATCHED) this.#reactor.remove(this.#fd);
      this.#interest = UNWATCHED;
      return;
    }
    const known = this.#interest !== UNWATCHED;
    this.#interest = wanted;
    if (known) this.#reactor.modify(this.#fd, wanted);
    else if (!this.#reactor.add(this.#fd, wanted, this)) queueMicrotask(() => this.#end(true, true));
  }

  #end(reset: boolean, voids: boolean): void {
    if (this.closed) return;
    this.#reactor.close(this.#fd);
    this.#leave(reset, voids);
  }

  #leave(reset: boolean, voids: boolean): void {
    keepAlive.remove(this);
    this.tellClose(reset, voids);
  }

  #readLocal(): Uint8Array {
    const address = new Uint8Array(socketAddressBytes);
    if (!this.closed) this.#reactor.libc.getSocketName(this.#fd, address);
    return address;
  }
}
