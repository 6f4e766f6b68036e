import { dlopen, FFIType, read, type Pointer } from "bun:ffi";
import { EUNKNOWN } from "./errno.ts";

/**
 * System calls, through `bun:ffi`.
 *
 * **Results.** Every call returns the result of the system call, or the negated
 * error number (`-EAGAIN`). `errno` belongs to the thread, and the JavaScript
 * engine makes system calls of its own on it, so it is read at once. Even so,
 * callers act on what epoll reports (`EPOLLERR`, `EPOLLHUP`) and take the number
 * as a hint.
 *
 * **Lifetimes.** Buffers are passed as typed arrays, never as addresses, so that
 * they live as long as the call. No call makes the kernel keep an address. The one
 * exception is `struct msghdr`, whose buffers `DescriptorMessages` keeps.
 *
 * **Blocking.** Only `epollWait` and `poll` wait. All descriptors are
 * non-blocking.
 */
export interface Libc {
  epollCreate(flags: number): number;
  /** `event` is one `epoll_event` in this machine's layout; ignored for removal. */
  epollCtl(epollFd: number, operation: number, fd: number, event: Int32Array): number;
  /** Waits up to `timeoutMs` (-1: for ever) and returns how many events it wrote. */
  epollWait(epollFd: number, events: Int32Array, maxEvents: number, timeoutMs: number): number;
  /** Moves up to `bytes` between a pipe and a socket without copying. 0 means end of stream. */
  splice(fromFd: number, toFd: number, bytes: number, flags: number): number;
  /** Writes two descriptors: the reading end, then the writing end. */
  pipe(fds: Int32Array, flags: number): number;
  socketPair(domain: number, type: number, protocol: number, fds: Int32Array): number;
  socket(domain: number, type: number, protocol: number): number;
  bind(fd: number, address: Uint8Array): number;
  connect(fd: number, address: Uint8Array): number;
  listen(fd: number, backlog: number): number;
  /** Accepts one connection, non-blocking and close-on-exec according to `flags`. Writes where it comes from into `address`, a `sockaddr_in` or `sockaddr_in6`. */
  acceptFrom(fd: number, address: Uint8Array, flags: number): number;
  /** Write the local and the remote address of a socket, as `acceptFrom` does. */
  getSocketName(fd: number, address: Uint8Array): number;
  getPeerName(fd: number, address: Uint8Array): number;
  fcntl(fd: number, command: number, argument: number): number;
  flock(fd: number, operation: number): number;
  close(fd: number): number;
  shutdown(fd: number, how: number): number;
  setSocketOption(fd: number, level: number, name: number, value: Int32Array): number;
  /** Fills `value`; `value.byteLength` is the room that the kernel is told of. */
  getSocketOption(fd: number, level: number, name: number, value: Int32Array): number;
  /** Writes the soft and the hard limit. */
  getLimit(resource: number, into: BigUint64Array): number;
  /** Writes seconds, then nanoseconds, of a clock. */
  getTime(clock: number, into: BigInt64Array): number;
  eventFd(initial: number, flags: number): number;
  /** `fds` are `struct pollfd`: the descriptor, then events and returned events in the halves of one number. */
  poll(fds: Int32Array, count: number, timeoutMs: number): number;
  read(fd: number, into: Uint8Array, bytes: number): number;
  write(fd: number, from: Uint8Array, bytes: number): number;
  receive(fd: number, into: Uint8Array, bytes: number, flags: number): number;
  send(fd: number, from: Uint8Array, bytes: number, flags: number): number;
  /** Reads an extended attribute of a file, links followed, and returns its length. Texts end with a zero. */
  getAttribute(path: Uint8Array, name: Uint8Array, into: Uint8Array): number;
  setAttribute(path: Uint8Array, name: Uint8Array, value: Uint8Array): number;
  /** `header` is a `struct msghdr`. Only `DescriptorMessages` makes one: it holds addresses. */
  sendMessage(fd: number, header: BigUint64Array, flags: number): number;
  receiveMessage(fd: number, header: BigUint64Array, flags: number): number;
}

const symbols = {
  __errno_location: { args: [], returns: "ptr" },
  epoll_create1: { args: ["i32"], returns: "i32" },
  epoll_ctl: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  epoll_wait: { args: ["i32", "ptr", "i32", "i32"], returns: "i32" },
  splice: { args: ["i32", "ptr", "i32", "ptr", "u64", "u32"], returns: FFIType.i64_fast },
  pipe2: { args: ["ptr", "i32"], returns: "i32" },
  socketpair: { args: ["i32", "i32", "i32", "ptr"], returns: "i32" },
  socket: { args: ["i32", "i32", "i32"], returns: "i32" },
  bind: { args: ["i32", "ptr", "u32"], returns: "i32" },
  connect: { args: ["i32", "ptr", "u32"], returns: "i32" },
  listen: { args: ["i32", "i32"], returns: "i32" },
  accept4: { args: ["i32", "ptr", "ptr", "i32"], returns: "i32" },
  getpeername: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  getsockname: { args: ["i32", "ptr", "ptr"], returns: "i32" },
  fcntl: { args: ["i32", "i32", "i64"], returns: "i32" },
  flock: { args: ["i32", "i32"], returns: "i32" },
  close: { args: ["i32"], returns: "i32" },
  shutdown: { args: ["i32", "i32"], returns: "i32" },
  setsockopt: { args: ["i32", "i32", "i32", "ptr", "u32"], returns: "i32" },
  getsockopt: { args: ["i32", "i32", "i32", "ptr", "ptr"], returns: "i32" },
  getrlimit: { args: ["i32", "ptr"], returns: "i32" },
  clock_gettime: { args: ["i32", "ptr"], returns: "i32" },
  poll: { args: ["ptr", "u64", "i32"], returns: "i32" },
  eventfd: { args: ["u32", "i32"], returns: "i32" },
  read: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
  write: { args: ["i32", "ptr", "u64"], returns: FFIType.i64_fast },
  recv: { args: ["i32", "ptr", "u64", "i32"], returns: FFIType.i64_fast },
  send: { args: ["i32", "ptr", "u64", "i32"], returns: FFIType.i64_fast },
  getxattr: { args: ["ptr", "ptr", "ptr", "u64"], returns: FFIType.i64_fast },
  setxattr: { args: ["ptr", "ptr", "ptr", "u64", "i32"], returns: "i32" },
  sendmsg: { args: ["i32", "ptr", "i32"], returns: FFIType.i64_fast },
  recvmsg: { args: ["i32", "ptr", "i32"], returns: FFIType.i64_fast },
} as const;

/**
 * A lazy constant: opening costs time that commands without sockets spare. What
 * `dlopen` gives belongs to the process and never changes, so that no two gates
 * can disagree about it.
 */
let library: { readonly libc: Libc | undefined } | undefined;

/**
 * Opens the C library of this process, glibc or musl, once per thread.
 *
 * Returns undefined on anything but Linux on x64 or arm64, and where no C
 * library can be opened under a known name.
 */
export function openLibc(): Libc | undefined {
  return (library ??= findLibrary()).libc;
}

function findLibrary(): { readonly libc: Libc | undefined } {
  const names = process.platform === "linux" ? listLibraryNames(process.arch) : [];
  for (const name of names) {
    const libc = tryOpen(name);
    if (libc !== undefined) return { libc };
  }
  return { libc: undefined };
}

/** The file names of the C library for `process.arch`, glibc first; none for an unknown machine. */
export function listLibraryNames(arch: string): string[] {
  const machine = arch === "x64" ? "x86_64" : arch === "arm64" ? "aarch64" : undefined;
  if (machine === undefined) return [];
  return ["libc.so.6", `libc.musl-${machine}.so.1`, `/lib/ld-musl-${machine}.so.1`];
}

function tryOpen(name: string): Libc | undefined {
  try {
    return wrapSymbols(dlopen(name, symbols).symbols);
  } catch {
    // dlopen throws for a library that is missing or lacks a symbol.
    return undefined;
  }
}

type LibcSymbols = ReturnType<typeof dlopen<typeof symbols>>["symbols"];

function wrapSymbols(c: LibcSymbols): Libc {
  const errnoAt = c.__errno_location() as Pointer;
  const size = new Int32Array(1);
  /** Turns -1 into the negated error number. */
  const settle = (result: number | bigint): number => {
    const value = Number(result);
    if (value !== -1) return value;
    const errno = read.i32(errnoAt, 0);
    return errno > 0 ? -errno : -EUNKNOWN;
  };
  return {
    epollCreate: (flags) => settle(c.epoll_create1(flags)),
    epollCtl: (epollFd, operation, fd, event) => settle(c.epoll_ctl(epollFd, operation, fd, event)),
    epollWait: (epollFd, events, maxEvents, timeoutMs) => settle(c.epoll_wait(epollFd, events, maxEvents, timeoutMs)),
    splice: (fromFd, toFd, bytes, flags) => settle(c.splice(fromFd, null, toFd, null, bytes, flags)),
    pipe: (fds, flags) => settle(c.pipe2(fds, flags)),
    socketPair: (domain, type, protocol, fds) => settle(c.socketpair(domain, type, protocol, fds)),
    socket: (domain, type, protocol) => settle(c.socket(domain, type, protocol)),
    bind: (fd, address) => settle(c.bind(fd, address, address.byteLength)),
    connect: (fd, address) => settle(c.connect(fd, address, address.byteLength)),
    listen: (fd, backlog) => settle(c.listen(fd, backlog)),
    acceptFrom: (fd, address, flags) => {
      size[0] = address.byteLength;
      return settle(c.accept4(fd, address, size, flags));
    },
    getPeerName: (fd, address) => {
      size[0] = address.byteLength;
      return settle(c.getpeername(fd, address, size));
    },
    getSocketName: (fd, address) => {
      size[0] = address.byteLength;
      return settle(c.getsockname(fd, address, size));
    },
    fcntl: (fd, command, argument) => settle(c.fcntl(fd, command, argument)),
    flock: (fd, operation) => settle(c.flock(fd, operation)),
    close: (fd) => settle(c.close(fd)),
    shutdown: (fd, how) => settle(c.shutdown(fd, how)),
    setSocketOption: (fd, level, name, value) => settle(c.setsockopt(fd, level, name, value, value.byteLength)),
    getSocketOption: (fd, level, name, value) => {
      size[0] = value.byteLength;
      return settle(c.getsockopt(fd, level, name, value, size));
    },
    getLimit: (resource, into) => settle(c.getrlimit(resource, into)),
    getTime: (clock, into) => settle(c.clock_gettime(clock, into)),
    poll: (fds, count, timeoutMs) => settle(c.poll(fds, count, timeoutMs)),
    eventFd: (initial, flags) => settle(c.eventfd(initial, flags)),
    read: (fd, into, bytes) => settle(c.read(fd, into, bytes)),
    write: (fd, from, bytes) => settle(c.write(fd, from, bytes)),
    receive: (fd, into, bytes, flags) => settle(c.recv(fd, into, bytes, flags)),
    send: (fd, from, bytes, flags) => settle(c.send(fd, from, bytes, flags)),
    getAttribute: (path, name, into) => settle(c.getxattr(path, name, into, into.byteLength)),
    setAttribute: (path, name, value) => settle(c.setxattr(path, name, value, value.byteLength, 0)),
    sendMessage: (fd, header, flags) => settle(c.sendmsg(fd, header, flags)),
    receiveMessage: (fd, header, flags) => settle(c.recvmsg(fd, header, flags)),
  };
}
