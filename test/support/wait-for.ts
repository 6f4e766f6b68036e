/** Looks until there is something to see; at most a minute, which a busy machine may need. `what` may be worded at the end, with what was there instead. */
export async function waitFor<T>(
  look: () => T | undefined | false | Promise<T | undefined | false>,
  what: string | (() => string),
  ms = 60_000,
): Promise<T> {
  const deadline = performance.now() + ms;
  for (;;) {
    const seen = await look();
    if (seen !== undefined && seen !== false) return seen;
    if (performance.now() > deadline)
      throw new Error(`Waited ${ms} ms in vain for ${typeof what === "string" ? what : what()}`);
    await Bun.sleep(5);
  }
}
