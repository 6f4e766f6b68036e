import {
  AF_UNIX,
  F_DUPFD_CLOEXEC,
  IPPROTO_TCP,
  SHUT_WR,
  SO_LINGER,
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
import { judgeDescriptor } from "./spare-descriptors.ts";

/** `struct linger { l_onoff = 1, l_linger = 0 }`: closing sends RST and drops what was not sent. */
const lingerZero = Int32Array.of(1, 0);
const lowestMark = Int32Array.of(1);
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
  if (second < 0 || judgeDescriptor(second) === "enough") return second;
  libc.close(second);
  return -EMFILE;
}

/** Makes a connected pair of Unix stream sockets, non-blocking; undefined when the kernel refuses. */
export function openSocketPair(libc: Libc): readonly [number, number] | undefined {
  const fds = new Int32Array(2);
  if (libc.socketPair(AF_UNIX, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0, fds) < 0) return undefined;
  return [fds[0] ?? -1, fds[1] ?? -1];
}
