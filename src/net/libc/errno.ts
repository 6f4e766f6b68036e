/**
 * Error numbers of Linux, the same on x64 and arm64 (asm-generic/errno.h).
 * The system calls in `libc.ts` return them negated.
 */
export const EPERM = 1;
export const EINTR = 4;
export const EAGAIN = 11;
export const ENOMEM = 12;
export const ENFILE = 23;
export const EMFILE = 24;
export const ENAMETOOLONG = 36;
export const ENOBUFS = 105;
export const EINPROGRESS = 115;
/** Stands for an error whose number could not be read. */
export const EUNKNOWN = 4095;

/** Whether a negative result says only "not now": try again when epoll reports the descriptor. */
export function isTransient(result: number): boolean {
  return result === -EAGAIN || result === -EINTR;
}

/** Errors of `socket`, `bind`, `listen`, `connect` and `accept`. */
const names: Readonly<Record<number, string>> = {
  1: "EPERM",
  2: "ENOENT",
  9: "EBADF",
  12: "ENOMEM",
  13: "EACCES",
  20: "ENOTDIR",
  22: "EINVAL",
  23: "ENFILE",
  24: "EMFILE",
  32: "EPIPE",
  36: "ENAMETOOLONG",
  97: "EAFNOSUPPORT",
  98: "EADDRINUSE",
  99: "EADDRNOTAVAIL",
  101: "ENETUNREACH",
  104: "ECONNRESET",
  105: "ENOBUFS",
  109: "ETOOMANYREFS",
  110: "ETIMEDOUT",
  111: "ECONNREFUSED",
  113: "EHOSTUNREACH",
};

/** The name of a (positive) error number. */
export function nameErrno(errno: number): string {
  return names[errno] ?? "EUNKNOWN";
}
