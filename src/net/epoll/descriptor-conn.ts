import type { Ip } from "../../address/ip.ts";
import { BufferedConn } from "../conn/buffered-conn.ts";
import { type LoopTimers, turnOnKeepAlive } from "../conn/loop-timers.ts";
import {
  EPOLLERR,
  EPOLLET,
  EPOLLHUP,
  EPOLLIN,
  EPOLLOUT,
  EPOLLPRI,
  EPOLLRDHUP,
  IPPROTO_TCP,
  MSG_DONTWAIT,
  MSG_NOSIGNAL,
  SO_KEEPALIVE,
  SOL_SOCKET,
  TCP_KEEPIDLE,
  TCP_NODELAY,
} from "../libc/constants.ts";
import { isTransient } from "../libc/errno.ts";
import { type Reactor, readBytes, type Watcher } from "./reactor.ts";
import { finishSocket, isSocketDead } from "../libc/socket.ts";
import { readSocketIp, readSocketPort, socketAddressBytes } from "../libc/socket-address.ts";
import type { Detachable, TakenDescriptor } from "../conn/conn.ts";

const ON = Int32Array.of(1);
const sendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
/** Told once when something comes, and not again until more does: one system call for the life of most connections. */
const READS = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;
/** The same, and when there is room for writing again. */
export const WATCHED = READS | EPOLLOUT;

/** A plain TCP connection over a descriptor that the reactor watches. */
export class DescriptorConn extends BufferedConn implements Watcher {
  readonly encrypted = false;
  readonly remotePort: number;
  readonly #reactor: Reactor;
  readonly #remote: Ip;
  readonly #fd: number;
  /** Whether epoll watches it, and whether for room to write, too. */
  #watched: "no" | "reads" | "both";
  /** Something has come that was not read yet: bytes, an end or a reset. */
  #ready = false;
  /** An urgent mark is ahead, where a read stops short although there is more. */
  #urgent = false;
  /** The end of the stream is behind what can be read. */
  #ending = false;
  /** The connection is dead behind what can be read. */
  #gone = false;
  /** A small write waits until the one before is acknowledged (RFC 896). So the first never waits, and most connections to targets spare a system call. */
  #delays: boolean;
  /** A write did not take all. */
  #blocked = false;
  /** FIN was sent. */
  #shut = false;
  /** A write was told of the peer's reset, and the system tells of it only once: what looks like an end now is none. */
  #broken = false;

  /** Owns `fd`, a connected non-blocking socket. One that was `dialled` is watched already, and `TCP_NODELAY` is not set on it yet. */
  constructor(reactor: Reactor, fd: number, remote: Ip, remotePort: number, dialled = false) {
    super();
    this.#reactor = reactor;
    this.#fd = fd;
    this.#remote = remote;
    this.remotePort = remotePort;
    this.#watched = dialled ? "both" : "no";
    this.#delays = dialled;
  }

  get fd(): number {
    return this.closed ? -1 : this.#fd;
  }
  get timers(): LoopTimers {
    return this.#reactor.timers;
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
    this.timers.keepAlive.add(this);
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
    if (this.#delays && this.bytesWritten > 0) this.#stopDelaying();
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
      if (this.#watched !== "both") this.#watch("both");
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

  /** No byte ever waits here to be written. A connection that is known to be dead stays: nobody else would learn of it. */
  get detachable(): Detachable | undefined {
    if (this.closed || this.#broken || this.#gone) return undefined;
    return {
      take: () => {
        this.#unwatch();
        return this.#fd;
      },
      giveBack: () => this.settleReader(),
      leave: () => {
        this.timers.keepAlive.remove(this);
        turnOnKeepAlive(this);
        if (this.#delays) this.#stopDelaying();
        this.forgetConsumer();
      },
    };
  }

  takeDescriptor(): TakenDescriptor | undefined {
    if (this.#broken || this.#gone) this.reset();
    if (this.closed) return undefined;
    this.#unwatch();
    this.timers.keepAlive.remove(this);
    const unread = this.takeWaiting();
    this.forgetConsumer();
    return { fd: this.#fd, unread };
  }

  // What the reactor tells.

  onEvent(events: number): void {
    if ((events & READS) !== 0) this.#ready = true;
    if ((events & EPOLLPRI) !== 0) this.#urgent = true;
    if ((events & EPOLLRDHUP) !== 0) this.#ending = true;
    if ((events & (EPOLLERR | EPOLLHUP)) !== 0 && this.#isDead(events)) this.#ready = this.#gone = true;
    if ((events & EPOLLOUT) !== 0 && this.#blocked) {
      this.#blocked = false;
      this.tellDrain();
    }
    this.#read();
  }

  onBug(): void {
    this.reset();
  }

  #isDead(events: number): boolean {
    // Without an error, HUP means that both directions are shut down. Where ours is not,
    // the kernel did it on a reset that some call has been told of already.
    if (this.#broken || ((events & EPOLLHUP) !== 0 && !this.#shut)) return true;
    return (events & EPOLLERR) !== 0 && !this.closed && isSocketDead(this.#reactor.libc, this.#fd);
  }

  protected settleReader(): void {
    if (this.#watched === "no") this.#watch("reads");
    // Later: the consumer is in the middle of a call.
    if (this.#ready && !this.silent) this.#reactor.callSoon(this);
    // Nobody would ever read that the connection is gone.
    else if (this.#broken && this.silent) queueMicrotask(() => this.#end(true, true));
  }

  /** Reads until nothing is left, or nobody wants it; others have their turn after a full read, and after a read that stopped at an urgent mark. */
  #read(): void {
    while (this.#ready && !this.closed) {
      if (this.ended || this.silent) {
        // A reset is told even to a consumer that asked for silence.
        if (this.#gone) this.#end(true, true);
        return;
      }
      const most = Math.min(readBytes, this.room);
      const received = this.#reactor.receive(this.#fd, most);
      if (typeof received === "number") {
        this.#take(received);
        return;
      }
      // A short read has emptied the socket, but for one that stopped at an urgent mark: of what comes now, epoll tells.
      const isMore = received.length === most || this.#urgent;
      this.#ready = isMore || this.#ending || this.#gone;
      if (isMore) this.#reactor.callSoon(this);
      this.tellData(received);
      if (isMore) return;
    }
  }

  /** There was nothing to read: it is the end, an error, or too early. */
  #take(result: number): void {
    this.#ready = this.#urgent = false;
    if (result < 0) {
      if (!isTransient(result)) this.#end(true, true);
    } else if (this.#broken || this.#gone) {
      this.#end(true, true);
    } else {
      this.tellEnd();
      if (this.#shut) this.#end(false, false);
    }
  }

  #stopDelaying(): void {
    this.#delays = false;
    this.#reactor.libc.setSocketOption(this.#fd, IPPROTO_TCP, TCP_NODELAY, ON);
  }

  #watch(what: "reads" | "both"): void {
    const known = this.#watched !== "no";
    this.#watched = what;
    const interest = what === "both" ? WATCHED : READS;
    if (known) this.#reactor.modify(this.#fd, interest);
    else if (!this.#reactor.add(this.#fd, interest, this)) queueMicrotask(() => this.#end(true, true));
  }

  #unwatch(): void {
    if (this.#watched !== "no") this.#reactor.remove(this.#fd);
    this.#watched = "no";
  }

  #end(reset: boolean, voids: boolean): void {
    if (this.closed) return;
    this.#reactor.closeDescriptor(this.#fd);
    this.#leave(reset, voids);
  }

  #leave(reset: boolean, voids: boolean): void {
    this.timers.keepAlive.remove(this);
    this.tellClose(reset, voids);
  }

  #readLocal(): Uint8Array {
    const address = new Uint8Array(socketAddressBytes);
    if (!this.closed) this.#reactor.libc.getSocketName(this.#fd, address);
    return address;
  }
}
