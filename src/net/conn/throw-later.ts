/**
 * Throws `error` in a microtask of its own: the process's listener for uncaught
 * exceptions reports it, and the caller goes on.
 */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}

/** Something that every connection needs is broken for good: the process ends with this message, so that its supervisor starts another. */
export class FatalError extends Error {
  override readonly name = "FatalError";
}
