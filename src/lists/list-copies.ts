import { readFileSync } from "node:fs";
import { mkdir, open, rename } from "node:fs/promises";
import { dirname, join } from "node:path";

/** Where the last good text of a list is kept in the state folder. */
function nameCopy(folder: string, key: string): string {
  return join(folder, "lists", `${hash(key).slice(0, 32)}.list`);
}

/** Keeps the last good text of a list: a line with its hash, then the text. It is whole or not there. */
export async function writeListCopy(folder: string, key: string, text: string): Promise<void> {
  const path = nameCopy(folder, key);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const file = await open(`${path}.new`, "w", 0o600);
  try {
    await file.writeFile(`${hash(text)}\n${text}`);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(`${path}.new`, path);
}

/** The last good text of a list; undefined when there is none, or when it is damaged. */
export function readListCopy(folder: string, key: string): string | undefined {
  let written: string;
  try {
    written = readFileSync(nameCopy(folder, key), "utf8");
  } catch {
    return undefined;
  }
  const end = written.indexOf("\n");
  const text = written.slice(end + 1);
  return hash(text) === written.slice(0, end) ? text : undefined;
}

function hash(text: string): string {
  return new Bun.CryptoHasher("sha256").update(text).digest("hex");
}
