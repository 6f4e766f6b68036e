import { closeSync, openSync, readFileSync, writeSync } from "node:fs";
import { join } from "node:path";

/** It goes with the file of use: who removes `usage.db*` to count from nothing removes it, too. */
const NAME = "usage.db.id";
const FORM = /^[0-9a-f]{16}$/;

/**
 * The name under which the use that a folder keeps is known to other proxies.
 * Every process that counts into the folder has the same one. Undefined when the
 * folder cannot be used; then use is not told.
 */
export function findMachineId(folder: string): string | undefined {
  const path = join(folder, NAME);
  try {
    const made = Buffer.from(crypto.getRandomValues(new Uint8Array(8))).toString("hex");
    // Another process may make it at the same moment: one of them wins.
    const fd = openSync(path, "wx", 0o600);
    writeSync(fd, made);
    closeSync(fd);
    return made;
  } catch {
    return readId(path);
  }
}

function readId(path: string): string | undefined {
  try {
    const text = readFileSync(path, "utf8");
    return FORM.test(text) ? text : undefined;
  } catch {
    return undefined;
  }
}
