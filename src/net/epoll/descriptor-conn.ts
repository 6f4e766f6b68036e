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
import { readSocketPort, socketAddressBytes } from "../libc/socket-address.ts";
import type { Detachable, TakenDescriptor } from "../conn/conn.ts";

const ON = Int32Array.of(1);
const sendFlags = MSG_DONTWAIT | MSG_NOSIGNAL;
/** Edge-triggered, so that most connections need one `epoll_ctl` in their life. */
const READS = EPOLLIN | EPOLLPRI | EPOLLRDHUP | EPOLLET;
/** The same, and room for writing. */
export const WATCHED = READS | EPOLLOUT;

/** A plain TCP connection over a descriptor that the reactor watches. */
export class DescriptorConn extends BufferedConn implements Watcher {
  readonly encrypted = false;
  readonly remotePort: number;
  readonly #reactor: Reactor;
  readonly #remote: Ip;
  readonly #fd: number;
  /** Whether epoll watches it: not, for reading, or for writing too. */
  #watched: "no" | "reads" | "both";
  /** Bytes, an end or a reset may be there to read. */
  #ready = false;
  /** An urgent mark is ahead: a read stops there although there is more. */
  #urgent = false;
  /** The peer's FIN comes after what can be read now. */
  #ending = false;
  /** The connection is dead; what can be read now is the last of it. */
  #gone = false;
  /** Nagle's algorithm (RFC 896) is still on. It never delays the first write, so most connections to targets save the system call that turns it off. */
  #delays: boolean;
  /** A write did not take all. */
  #blocked = false;
  /** FIN was sent. */
  #shut = false;
  /** A write failed with the peer's reset, which the system reports only once: an end of the stream is a reset now. */
  #broken = false;

  /** Owns `fd`, a connected non-blocking socket. A `dialled` one is watched already and has no `TCP_NODELAY` yet. */
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
    return this.#reactor.ips.read(this.#readLocal())?.text ?? "";
  }
  get localPort(): number {
    return readSocketPort(this.#readLocal());
  }

  /** Turns keep-alive on when the connection has lived for a while. */
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
    // Both sides are done. Later, because the sink is in the middle of a call.
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

  /** A dead connection cannot leave: a lane would not learn of its reset. */
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
    // HUP without an error: both directions are shut down. If this side did not do it, the kernel did, on a reset
    // that some call has reported already.
    if (this.#broken || ((events & EPOLLHUP) !== 0 && !this.#shut)) return true;
    return (events & EPOLLERR) !== 0 && !this.closed && isSocketDead(this.#reactor.libc, this.#fd);
  }

  protected settleReader(): void {
    if (this.#watched === "no") this.#watch("reads");
    // Later, because the sink is in the middle of a call.
    if (this.#ready && !this.silent) this.#reactor.callSoon(this);
    // No read would report the reset.
    else if (this.#broken && this.silent) queueMicrotask(() => this.#end(true, true));
  }

  /** Reads until the socket is empty or the sink wants no more. Yields to other connections after a full read, and after one that stopped at an urgent mark. */
  #read(): void {
    while (this.#ready && !this.closed) {
      if (this.ended || this.silent) {
        // A reset is told even to a sink that paused.
        if (this.#gone) this.#end(true, true);
        return;
      }
      const most = Math.min(readBytes, this.room);
      const received = this.#reactor.receive(this.#fd, most);
      if (typeof received === "number") {
        this.#take(received);
        return;
      }
      // A short read emptied the socket, unless it stopped at an urgent mark. epoll reports what comes from now on.
      const isMore = received.length === most || this.#urgent;
      this.#ready = isMore || this.#ending || this.#gone;
      this.tellData(received);
      if (!isMore) continue;
      // A sink that paused calls for more when it resumes.
      if (!this.silent) this.#reactor.callSoon(this);
      return;
    }
  }

  /** A read without bytes: the end, an error, or nothing there yet. */
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

/**
 * Makes a connection of a TCP socket that was connected elsewhere, and owns it
 * from then on. What became of it meanwhile shows with its first events. A socket
 * that is dead, or at its end on both sides, has no peer any more.
 */
export function adoptSocket(reactor: Reactor, fd: number): DescriptorConn {
  const address = new Uint8Array(socketAddressBytes);
  const ip = reactor.libc.getPeerName(fd, address) < 0 ? undefined : reactor.ips.read(address);
  // Neither need be on: most connections to targets do without both while they are young.
  reactor.libc.setSocketOption(fd, IPPROTO_TCP, TCP_NODELAY, ON);
  const conn = new DescriptorConn(reactor, fd, ip ?? NOWHERE, ip === undefined ? 0 : readSocketPort(address));
  conn.watchPeer();
  return conn;
}

const NOWHERE: Ip = { family: 4, text: "0.0.0.0", bytes: new Uint8Array(4) };
