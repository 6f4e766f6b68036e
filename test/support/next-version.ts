import { writeFile } from "node:fs/promises";
import { version } from "../../src/version.ts";
import { findExecutable } from "./build-executable.ts";

/**
 * Writes the executable as it would be of another version: the version is
 * exchanged in its bundle and in the bytecode. `next` has as many characters.
 * `from` is the executable of this source, where it is another file.
 */
export async function writeVersion(path: string, next: string, from?: string): Promise<Buffer> {
  if (next.length !== version.length) throw new Error(`Wanted is a version as long as ${version}`);
  const bytes = Buffer.from(await Bun.file(from ?? (await findExecutable())).arrayBuffer());
  let changed = 0;
  for (let at = bytes.indexOf(version); at >= 0; at = bytes.indexOf(version, at + 1)) {
    const around = [bytes[at - 1], bytes[at + version.length]];
    if (!around.every((byte) => byte === 0 || byte === 0x22)) continue;
    bytes.write(next, at, "latin1");
    changed += 1;
  }
  if (changed === 0) throw new Error("The executable has no version to change");
  await writeFile(path, bytes, { mode: 0o755 });
  return bytes;
}
