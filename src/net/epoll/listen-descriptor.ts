import type { Ip } from "../../address/ip.ts";
import type { Accept, ListenResult, TurnAway } from "../runtime/listen.ts";
import { KEEP_ALIVE } from "../conn/loop-timers.ts";
import {
  AF_INET,
  AF_INET6,
  EPOLLIN,
  IPPROTO_IPV6,
  IPPROTO_TCP,
  IPV6_V6ONLY,
  O_CLOEXEC,
  O_NONBLOCK,
  SO_KEEPALIVE,
  SO_REUSEADDR,
  SO_REUSEPORT,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_KEEPCNT,
  TCP_KEEPIDLE,
  TCP_KEEPINTVL,
  TCP_NODELAY,
} from "../libc/constants.ts";
import { DescriptorConn } from "./descriptor-conn.ts";
import { EAGAIN, EMFILE, ENFILE, ENOBUFS, ENOMEM, nameErrno } from "../libc/errno.ts";
import type { Reactor, Watcher } from "./reactor.ts";
import { encodeSocketAddress, readSocketPort, socketAddressBytes } from "../libc/socket-address.ts";
import { keepUrgentInline } from "../libc/socket.ts";
import { isTooFew } from "../conn/descriptors.ts";

/** Connections that may wait to be accepted, if `net.core.somaxconn` allows. */
const BACKLOG = 4096;
/** Accepts in a row before other events have their turn. */
const ACCEPTS_PER_TURN = 64;
/** Milliseconds until the next try after the system had no room for another descriptor. */
const PAUSE_MS = 100;

interface ListenOptions {
  /** A socket that listens at that address already. It belongs to the listener from then on. */
  readonly inherited?: number | undefined;
  /** Binds beside listeners of this process that share their address. */
  readonly shared?: boolean | undefined;
}

/**
 * Binds a TCP listener that the reactor watches. One on `::` takes IPv4 clients,
 * too.
 */
export function listenDescriptor(
  reactor: Reactor,
  ip: Ip,
  port: number,
  accept: Accept<DescriptorConn>,
  turnAway?: TurnAway | "never",
  { inherited, shared = false }: ListenOptions = {},
): ListenResult {
  const { libc } = reactor;
  const fd = inherited ?? libc.socket(ip.family === 4 ? AF_INET : AF_INET6, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return { ok: false, code: nameErrno(-fd) };
  const set = (level: number, name: number, value: number): void =>
    void libc.setSocketOption(fd, level, name, Int32Array.of(value));
  if (inherited === undefined) {
    set(SOL_SOCKET, SO_REUSEADDR, 1);
    if (shared) set(SOL_SOCKET, SO_REUSEPORT, 1);
    if (ip.family === 6) set(IPPROTO_IPV6, IPV6_V6ONLY, 0);
  }
  // Accepted connections inherit these options, which saves six system calls for each.
  keepUrgentInline(libc, fd);
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, KEEP_ALIVE.idleSeconds);
  set(IPPROTO_TCP, TCP_KEEPINTVL, KEEP_ALIVE.intervalSeconds);
  set(IPPROTO_TCP, TCP_KEEPCNT, KEEP_ALIVE.count);
  const bound = inherited === undefined ? libc.bind(fd, encodeSocketAddress(ip, port)) : 0;
  const result = bound || libc.listen(fd, BACKLOG);
  // Sharing was for this moment alone.
  if (shared) set(SOL_SOCKET, SO_REUSEPORT, 0);
  if (result < 0) {
    libc.close(fd);
    return { ok: false, code: nameErrno(-result) };
  }
  const address = new Uint8Array(socketAddressBytes);
  libc.getSocketName(fd, address);
  const listener = new Listener(reactor, fd, accept, turnAway);
  if (!listener.watch()) {
    libc.close(fd);
    return { ok: false, code: "ENOMEM" };
  }
  return {
    ok: true,
    listener: {
      host: ip.text,
      port: readSocketPort(address),
      fd,
      stop: () => listener.stop(),
      acceptWaiting: () => listener.accept(BACKLOG),
      // A socket of the service manager stays bound when the listener is gone, and would keep clients from another one.
      ...(inherited === undefined && { share: (allowed: boolean) => listener.share(allowed) }),
    },
  };
}

class Listener implements Watcher {
  readonly #reactor: Reactor;
  readonly #fd: number;
  readonly #accept: Accept<DescriptorConn>;
  readonly #turnAway: TurnAway | "never" | undefined;
  readonly #address = new Uint8Array(socketAddressBytes);
  #stopped = false;
  /** The connection that `accept` is called for. */
  #accepted: DescriptorConn | undefined;

  constructor(reactor: Reactor, fd: number, accept: Accept<DescriptorConn>, turnAway?: TurnAway | "never") {
    this.#reactor = reactor;
    this.#fd = fd;
    this.#accept = accept;
    this.#turnAway = turnAway;
  }

  watch(): boolean {
    return this.#reactor.add(this.#fd, EPOLLIN, this);
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    // The service manager and this process can have other descriptors of the socket: the kernel would watch it on.
    this.#reactor.remove(this.#fd);
    this.#reactor.closeDescriptor(this.#fd);
  }

  share(allowed: boolean): void {
    if (this.#stopped) return;
    this.#reactor.libc.setSocketOption(this.#fd, SOL_SOCKET, SO_REUSEPORT, Int32Array.of(allowed ? 1 : 0));
  }

  onEvent(): void {
    this.accept(ACCEPTS_PER_TURN);
  }

  /** Accepts up to that many connections. */
  accept(most: number): void {
    for (let count = 0; count < most && !this.#stopped; count += 1) {
      const fd = this.#reactor.libc.acceptFrom(this.#fd, this.#address, O_NONBLOCK | O_CLOEXEC);
      if (fd >= 0) this.#take(fd);
      else if (fd === -EAGAIN) return;
      else if (isExhausted(fd)) return this.#pause();
      // Any other error is about a connection that is gone already (accept(2)).
    }
  }

  onBug(): void {
    this.#accepted?.reset();
  }

  #take(fd: number): void {
    const ip = this.#reactor.ips.read(this.#address);
    const port = readSocketPort(this.#address);
    const turnAway = this.#turnAway;
    if (ip === undefined || (turnAway !== "never" && isTooFew(this.#reactor.descriptors.judge(fd)))) {
      this.#reactor.reset(fd);
      if (ip !== undefined && turnAway !== "never") turnAway?.(ip, port);
      return;
    }
    const conn = new DescriptorConn(this.#reactor, fd, ip, port);
    this.#accepted = conn;
    this.#accept(conn, ip);
    this.#accepted = undefined;
  }

  /** Meanwhile clients wait in the kernel. */
  #pause(): void {
    this.#reactor.remove(this.#fd);
    setTimeout(() => {
      if (!this.#stopped && !this.watch()) this.#pause();
    }, PAUSE_MS);
  }
}

/** Whether the process or the system has no room for another socket. */
function isExhausted(result: number): boolean {
  return result === -EMFILE || result === -ENFILE || result === -ENOBUFS || result === -ENOMEM;
}
