/**
 * Error numbers of Linux, the same on x64 and arm64 (asm-generic/errno.h).
 * The system calls in `libc.ts` return them negated.
 */
export const EPERM = 1;
export const EINTR = 4;
export const EAGAIN = 11;
export const EMFILE = 24;
export const EINPROGRESS = 115;
/** Stands for an error whose number could not be read. */
export const EUNKNOWN = 4095;

/** Tells whether a negative result only says "not now": try again when epoll says so. */
export function isTransient(result: number): boolean {
  return result === -EAGAIN || result === -EINTR;
}
