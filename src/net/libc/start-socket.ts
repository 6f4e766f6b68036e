import type { Ip } from "../../address/ip.ts";
import type { Descriptors } from "../conn/descriptors.ts";
import { AF_INET, AF_INET6, O_CLOEXEC, O_NONBLOCK, SOCK_STREAM } from "./constants.ts";
import { EINPROGRESS, EINTR, EMFILE, nameErrno } from "./errno.ts";
import type { Libc } from "./libc.ts";
import { encodeSocketAddress } from "./socket-address.ts";
import { keepUrgentInline } from "./socket.ts";

export type StartedSocket =
  /** A non-blocking socket, `connected` or still connecting. The caller owns it. */
  | { readonly ok: true; readonly fd: number; readonly connected: boolean }
  | { readonly ok: false; readonly code: string };

export type StartSocket = typeof startSocket;

const SOL_IP = 0;
/** Choose the port at `connect`, not at `bind`: otherwise a source address has ports for 28,000 connections in all. */
const IP_BIND_ADDRESS_NO_PORT = 24;
const ON = Int32Array.of(1);

/** Where a connection goes, and the local address that it comes from. */
interface Ends {
  readonly ip: Ip;
  readonly port: number;
  readonly source?: Ip | undefined;
}

/** Begins a TCP connection. Urgent bytes come inline. The caller sets `TCP_NODELAY`. */
export function startSocket(libc: Libc, descriptors: Descriptors, { ip, port, source }: Ends): StartedSocket {
  if (source !== undefined && source.family !== ip.family) return { ok: false, code: "EAFNOSUPPORT" };
  const family = ip.family === 4 ? AF_INET : AF_INET6;
  const fd = libc.socket(family, SOCK_STREAM | O_NONBLOCK | O_CLOEXEC, 0);
  if (fd < 0) return { ok: false, code: nameErrno(-fd) };
  if (descriptors.judge(fd) !== "enough") return abandon(libc, fd, -EMFILE);
  keepUrgentInline(libc, fd);
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
  return { ok: false, code: nameErrno(-result) };
}
