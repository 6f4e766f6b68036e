import type { CliIo } from "./io.ts";

/** Work that is done sooner shows nothing. */
const QUIET_MS = 1000;
const REFRESH_MS = 250;

/**
 * Does `work`, and shows on standard error how far it is, from the second second
 * on. Only on a terminal, and never with `--quiet` or `--json`. `describe` gives
 * what is being done, without the time that it takes.
 */
export async function showProgress<Result>(
  { showStatus }: Pick<CliIo, "showStatus">,
  describe: () => string,
  work: () => Promise<Result>,
): Promise<Result> {
  if (showStatus === undefined) return work();
  const began = performance.now();
  const show = (): void => {
    const elapsedMs = performance.now() - began;
    if (elapsedMs >= QUIET_MS) showStatus(`${describe()} (${Math.floor(elapsedMs / 1000)} s)`);
  };
  const timer = setInterval(show, REFRESH_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    showStatus("");
  }
}

/** How much of a file is read: `34 of 120 MB`, or `34 MB` where nobody knows how much there is. */
export function describeShare(bytes: number, total: number | undefined): string {
  const megabytes = (count: number): string => (count / 1_000_000).toFixed(0);
  // What an answer announces may be anything.
  return total !== undefined && total >= bytes
    ? `${megabytes(bytes)} of ${megabytes(total)} MB`
    : `${megabytes(bytes)} MB`;
}
