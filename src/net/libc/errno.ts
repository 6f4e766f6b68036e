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
export const ENOBUFS = 105;
export const EINPROGRESS = 115;
/** Stands for an error whose number could not be read. */
export const EUNKNOWN = 4095;

/** Tells whether a negative result only says "not now": try again when epoll says so. */
export function isTransient(result: number): boolean {
  return result === -EAGAIN || result === -EINTR;
}

/** What `socket`, `bind`, `listen`, `connect` and `accept` can say. */
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

/** Gives the word of an error number, which is not negated. */
export function nameErrno(errno: number): string {
  return names[errno] ?? "EUNKNOWN";
}
