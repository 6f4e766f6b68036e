import type { Ip } from "../../address/ip.ts";
import { AF_INET, AF_INET6, O_CLOEXEC, O_NONBLOCK, SOCK_STREAM } from "./constants.ts";
import { EINPROGRESS, EINTR, EMFILE } from "./errno.ts";
import { type Libc, openLibc } from "./libc.ts";
import { judgeDescriptor } from "./spare-descriptors.ts";

export type StartedSocket =
  /** A non-blocking socket, `connected` or still connecting. The caller owns it. */
  | { readonly ok: true; readonly fd: number; readonly connected: boolean }
  | { readonly ok: false; readonly code: string };

const SOL_IP = 0;
/** Choose the port at `connect`, not at `bind`: otherwise a source address has ports for 28,000 connections in all. */
const IP_BIND_ADDRESS_NO_PORT = 24;
const ON = Int32Array.of(1);

/** Begins a TCP connection, from `source` when given. Undefined where the C library cannot be called. */
export function startSocket(ip: Ip, port: number, source: Ip | undefined): StartedSocket | undefined {
  const libc = openLibc();
  if (libc === undefined) return undefined;
  if (source !== undefined && source.family !== ip.family) return { ok: false, code: "EAFNOSUPPORT" };
  const family = ip.family === 4 ? AF_INET : AF_INET6;
  const fd = libc.socket(family, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return { ok: false, code: nameError(-fd) };
  if (judgeDescriptor(fd) !== "enough") return abandon(libc, fd, -EMFILE);
  if (source !== undefined) {
    libc.setSocketOption(fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, ON);
    const bound = libc.bind(fd, encodeSocketAddress(source, 0));
    if (bound < 0) return abandon(libc, fd, bound);
  }
  const result = libc.connect(fd, encodeSocketAddress(ip, port));
  if (result === 0) return { ok: true, fd, connected: true };
  if (result === -EINPROGRESS || result === -EINTR) return { ok: true, fd, connected: false };
  return abandon(libc, fd, result);
}

function abandon(libc: Libc, fd: number, result: number): StartedSocket {
  libc.close(fd);
  return { ok: false, code: nameError(-result) };
}

/** `struct sockaddr_in` or `sockaddr_in6` (ip(7), ipv6(7)): family in this machine's order, port and address in the network's. */
export function encodeSocketAddress(ip: Ip, port: number): Uint8Array {
  const bytes = new Uint8Array(ip.family === 4 ? 16 : 28);
  bytes[0] = ip.family === 4 ? AF_INET : AF_INET6;
  bytes[2] = port >> 8;
  bytes[3] = port & 0xff;
  bytes.set(ip.bytes, ip.family === 4 ? 4 : 8);
  return bytes;
}

/** What `socket`, `bind` and `connect` can say (asm-generic/errno.h, the same on x64 and arm64). */
const names: Readonly<Record<number, string>> = {
  1: "EPERM",
  12: "ENOMEM",
  13: "EACCES",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  101: "ENETUNREACH",
  104: "ECONNRESET",
  105: "ENOBUFS",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  113: "EHOSTUNREACH",
};

function nameError(errno: number): string {
  return names[errno] ?? "EUNKNOWN";
}
