import { parseIp } from "../address/ip.ts";
import {
  F_DUPFD_CLOEXEC,
  F_GETFL,
  F_SETFD,
  F_SETFL,
  FD_CLOEXEC,
  O_NONBLOCK,
  SO_ACCEPTCONN,
  SO_TYPE,
  SOCK_STREAM,
  SOL_SOCKET,
} from "./libc/constants.ts";
import { nameErrno } from "./libc/errno.ts";
import { type Libc, openLibc } from "./libc/libc.ts";
import { readSocketPort, SocketIps, socketAddressBytes } from "./libc/socket-address.ts";

/** The first descriptor that a service manager passes (sd_listen_fds(3)). */
const FIRST = 3;
/** Descriptors at most: more are a mistake in the variable. */
const MOST = 1024;

/** A listening TCP socket that a service manager opened for this process. */
interface Inherited {
  readonly fd: number;
  /** As `FileDescriptorName=` says; `unknown` without it. */
  readonly name: string;
  /** Undefined for what is no listening TCP socket. */
  readonly at: { readonly host: string; readonly port: number } | undefined;
  used: boolean;
}

/**
 * The sockets of socket activation. This process keeps each that it uses until it
 * ends: a listener gets a duplicate, so that it can be closed and opened again.
 */
export class InheritedSockets {
  readonly #libc: Libc;
  readonly #sockets: Inherited[];

  private constructor(libc: Libc, sockets: Inherited[]) {
    this.#libc = libc;
    this.#sockets = sockets;
  }

  /** Takes what `LISTEN_FDS` counts; undefined when there is nothing for the process `pid`. */
  static take(variables: Readonly<Record<string, string | undefined>>, pid: number): InheritedSockets | undefined {
    const count = Number(variables["LISTEN_FDS"]);
    if (variables["LISTEN_PID"] !== String(pid) || !Number.isInteger(count) || count < 1 || count > MOST)
      return undefined;
    const libc = openLibc();
    if (libc === undefined) return undefined;
    const names = (variables["LISTEN_FDNAMES"] ?? "").split(":");
    const sockets = Array.from({ length: count }, (_, at): Inherited => {
      const fd = FIRST + at;
      libc.fcntl(fd, F_SETFD, FD_CLOEXEC);
      return { fd, name: names[at] || "unknown", at: readListening(libc, fd), used: false };
    });
    return new InheritedSockets(libc, sockets);
  }

  /** Takes the sockets that another process had from the service manager, and gave to this one. */
  static adopt(passed: readonly { readonly name: string; readonly fd: number }[]): InheritedSockets | undefined {
    const libc = openLibc();
    if (libc === undefined || passed.length === 0) return undefined;
    const sockets = passed.map(({ name, fd }): Inherited => ({ fd, name, at: readListening(libc, fd), used: false }));
    return new InheritedSockets(libc, sockets);
  }

  /** All of them. */
  list(): readonly { readonly name: string; readonly fd: number }[] {
    return this.#sockets.map(({ name, fd }) => ({ name, fd }));
  }

  /** Where the socket of that name listens; undefined when there is none. */
  locate(name: string): { readonly host: string; readonly port: number } | undefined {
    return this.#sockets.find((socket) => socket.name === name && socket.at !== undefined)?.at;
  }

  /** A duplicate of the socket at that address, non-blocking; undefined when there is none, a negated error number when it cannot be duplicated. */
  open(host: string, port: number): number | undefined {
    const socket = this.#sockets.find(({ at }) => at !== undefined && at.host === host && at.port === port);
    if (socket === undefined) return undefined;
    const fd = this.#libc.fcntl(socket.fd, F_DUPFD_CLOEXEC, FIRST);
    if (fd < 0) return fd;
    this.#libc.fcntl(fd, F_SETFL, this.#libc.fcntl(fd, F_GETFL, 0) | O_NONBLOCK);
    socket.used = true;
    return fd;
  }

  /** Closes those that no listener has taken, and describes them. */
  closeUnused(): string[] {
    const unused = this.#sockets.filter(({ used }) => !used);
    for (const socket of unused) this.#sockets.splice(this.#sockets.indexOf(socket), 1);
    return unused.map(({ fd, name, at }) => {
      const closed = this.#libc.close(fd);
      if (closed < 0) return `descriptor ${fd} ("${name}"): ${nameErrno(-closed)}`;
      const where =
        at === undefined
          ? "no listening TCP socket"
          : at.host.includes(":")
            ? `[${at.host}]:${at.port}`
            : `${at.host}:${at.port}`;
      return `descriptor ${fd} ("${name}"): ${where}`;
    });
  }
}

/** The address of a listening TCP socket. */
function readListening(libc: Libc, fd: number): Inherited["at"] {
  const value = new Int32Array(1);
  for (const [option, wanted] of [
    [SO_TYPE, SOCK_STREAM],
    [SO_ACCEPTCONN, 1],
  ] as const)
    if (libc.getSocketOption(fd, SOL_SOCKET, option, value) < 0 || value[0] !== wanted) return undefined;
  const address = new Uint8Array(socketAddressBytes);
  if (libc.getSocketName(fd, address) < 0) return undefined;
  const ip = new SocketIps().read(address);
  return ip && { host: parseIp(ip.text)?.text ?? ip.text, port: readSocketPort(address) };
}
