/**
 * Gives the address of the lane's thread, from the source tree or inside the
 * executable. All code of the executable is one file at the top of its own file
 * system, and `bun build --compile --root src` puts the extra entry point
 * `src/net/linux/lane-worker.ts` below that at its path within `src/`.
 */
export function locateLaneWorker(here = import.meta.url): string {
  const path = here.includes("/$bunfs/") ? "./net/linux/lane-worker.ts" : "./lane-worker.ts";
  return new URL(path, here).href;
}
