/**
 * Throws what was caught where nobody is in the middle of anything: whoever
 * listens to uncaught exceptions of the process is told, and nothing else ends.
 */
export function throwLater(error: unknown): void {
  queueMicrotask(() => {
    throw error;
  });
}
