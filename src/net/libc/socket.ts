import {
  AF_UNIX,
  F_DUPFD_CLOEXEC,
  IPPROTO_TCP,
  MSG_DONTWAIT,
  MSG_ERRQUEUE,
  SHUT_WR,
  SO_ERROR,
  SO_LINGER,
  SO_OOBINLINE,
  SO_RCVLOWAT,
  O_CLOEXEC,
  O_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
  TCP_INFO,
  TCP_WINDOW_CLAMP,
} from "./constants.ts";
import { EMFILE } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { SpareDescriptors } from "./spare-descriptors.ts";

/** `struct linger { l_onoff = 1, l_linger = 0 }`: closing sends RST and drops what was not sent. */
const lingerZero = Int32Array.of(1, 0);
const lowestMark = Int32Array.of(1);
const on = Int32Array.of(1);
/** Entries of an error queue that are thrown away in a row. */
const queuedErrors = 1024;
/** A window of 1 MiB lets a peer that is nearer than this send 2 GB/s: more than one connection gets. */
const nearMicroseconds = 500;
/** Where `struct tcp_info` has `tcpi_rtt` (linux/tcp.h), in 32-bit words; and how many of them to read. */
const roundTripWord = 17;
const tcpInfoWords = 18;

/** Sends RST to the peer and closes the descriptor, whoever else holds a duplicate of it. */
export function resetSocket(libc: Libc, fd: number): void {
  refuseToLinger(libc, fd);
  libc.close(fd);
}

/** Has the close of a descriptor send RST. */
export function refuseToLinger(libc: Libc, fd: number): void {
  libc.setSocketOption(fd, SOL_SOCKET, SO_LINGER, lingerZero);
}

/**
 * Has urgent bytes (RFC 6093) come in their place among the others. Without it
 * the kernel keeps each for itself, and the stream lacks it. To be set before
 * anything is read; what a listener accepts has it from the listener.
 */
export function keepUrgentInline(libc: Libc, fd: number): void {
  libc.setSocketOption(fd, SOL_SOCKET, SO_OOBINLINE, on);
}

/**
 * Tells whether a socket of which epoll reports an error is dead, and takes the
 * error off it. One that is not has something in its error queue (ip(7),
 * `IP_RECVERR`): that is thrown away, for epoll would report it for ever.
 */
export function isSocketDead(libc: Libc, fd: number): boolean {
  const errno = new Int32Array(1);
  if (libc.getSocketOption(fd, SOL_SOCKET, SO_ERROR, errno) < 0 || errno[0] !== 0) return true;
  const nothing = new Uint8Array(1);
  for (let count = 0; count < queuedErrors; count += 1)
    if (libc.receive(fd, nothing, nothing.length, MSG_ERRQUEUE | MSG_DONTWAIT) < 0) break;
  return false;
}

/** Sends FIN. A peer that is gone already is no error here: epoll tells of it. */
export function finishSocket(libc: Libc, fd: number): void {
  libc.shutdown(fd, SHUT_WR);
}

/**
 * Has the kernel make room for `bytes` that have arrived and are not read yet,
 * in one step instead of the many of its own tuning, which goes on from there.
 * A low-water mark does that and `SO_RCVBUF` would not: it ends the tuning. The
 * mark itself is taken back at once.
 *
 * A peer that is near gets no larger window than that: what waits beyond a
 * pipeful only leaves the caches before its turn comes. Measured with 8 tunnels
 * on loopback, the one and the other take about 20 % off the CPU per GB each.
 */
export function fitReceiveWindow(libc: Libc, fd: number, bytes: number): void {
  libc.setSocketOption(fd, SOL_SOCKET, SO_RCVLOWAT, Int32Array.of(bytes));
  libc.setSocketOption(fd, SOL_SOCKET, SO_RCVLOWAT, lowestMark);
  if (readRoundTripMicroseconds(libc, fd) < nearMicroseconds)
    libc.setSocketOption(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, Int32Array.of(bytes));
}

/** The smoothed round-trip time of a TCP connection; infinite for what is no TCP socket. */
function readRoundTripMicroseconds(libc: Libc, fd: number): number {
  const info = new Int32Array(tcpInfoWords);
  const known = libc.getSocketOption(fd, IPPROTO_TCP, TCP_INFO, info) === 0;
  return known ? (info[roundTripWord] ?? Infinity) : Infinity;
}

/** Makes a second descriptor for the same socket, closed in child processes. Negative near the descriptor limit. */
export function duplicateDescriptor(libc: Libc, fd: number): number {
  const second = libc.fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (second < 0 || new SpareDescriptors().judge(second) === "enough") return second;
  libc.close(second);
  return -EMFILE;
}

/** Makes a connected pair of Unix stream sockets, non-blocking; undefined when the kernel refuses. */
export function openSocketPair(libc: Libc): readonly [number, number] | undefined {
  const fds = new Int32Array(2);
  if (libc.socketPair(AF_UNIX, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0, fds) < 0) return undefined;
  return [fds[0] ?? -1, fds[1] ?? -1];
}
