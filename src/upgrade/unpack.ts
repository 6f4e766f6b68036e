import { basename } from "node:path";
import { type Outcome, done, refuse } from "./refusal.ts";

/** Bytes of an executable, and of what an archive may unpack to: a multiple of what there is, and no danger to the memory. */
export const MAX_EXECUTABLE_BYTES = 512 * 1024 * 1024;

const XZ_MAGIC = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const BLOCK = 512;
const NAMES: ReadonlySet<string> = new Set(["penstock", "penstock.exe"]);
const XZ_MS = 120_000;

/** The executable: the file as it is, or the one in an archive of a release. */
export async function unpackExecutable(file: Buffer): Promise<Outcome<Buffer>> {
  if (!file.subarray(0, XZ_MAGIC.length).equals(XZ_MAGIC)) return done(file);
  const archive = await decompress(file);
  return archive.ok ? findInArchive(archive.value) : archive;
}

/** Runs xz, which keeps its checksums. The bytes have been verified before. */
async function decompress(file: Buffer): Promise<Outcome<Buffer>> {
  const xz = Bun.which("xz");
  if (xz === null)
    return refuse(
      "unpack",
      "An archive needs xz (Debian: xz-utils), which is not installed. Give the bare executable.",
    );
  const child = Bun.spawn([xz, "-dc"], {
    stdin: file,
    stdout: "pipe",
    stderr: "ignore",
    timeout: XZ_MS,
    killSignal: "SIGKILL",
  });
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of child.stdout) {
    length += chunk.length;
    if (length > MAX_EXECUTABLE_BYTES) {
      child.kill("SIGKILL");
      return refuse("unpack", `The archive unpacks to more than ${MAX_EXECUTABLE_BYTES / 1024 / 1024} MiB.`);
    }
    chunks.push(chunk);
  }
  if ((await child.exited) !== 0)
    return refuse("unpack", "The archive cannot be unpacked: xz says that it is damaged.");
  return done(Buffer.concat(chunks, length));
}

/** The one regular file of the name `penstock` in a tar archive (POSIX.1-1988). Nothing else of it is used. */
export function findInArchive(archive: Buffer): Outcome<Buffer> {
  const found: Buffer[] = [];
  for (let at = 0; at + BLOCK <= archive.length;) {
    const header = archive.subarray(at, at + BLOCK);
    if (header.every((byte) => byte === 0)) break;
    const size = readOctal(header, 124, 12);
    if (size === undefined || readOctal(header, 148, 8) !== sumHeader(header) || at + BLOCK + size > archive.length)
      return refuse("unpack", "The archive is not a whole tar archive.");
    const type = header.toString("latin1", 156, 157);
    const name = header.toString("utf8", 0, 100).replace(/\0.*$/s, "");
    if ((type === "0" || type === "\0") && NAMES.has(basename(name)))
      found.push(archive.subarray(at + BLOCK, at + BLOCK + size));
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
  const [only] = found;
  return only !== undefined && found.length === 1
    ? done(only)
    : refuse("unpack", `The archive has ${found.length} files of the name penstock. Wanted is one.`);
}

function readOctal(header: Buffer, from: number, length: number): number | undefined {
  const text = header
    .toString("latin1", from, from + length)
    .replace(/\0.*$/s, "")
    .trim();
  return /^[0-7]{1,11}$/.test(text) ? Number.parseInt(text, 8) : undefined;
}

/** The checksum of a header: the sum of its bytes, with spaces in the place of the checksum. */
function sumHeader(header: Buffer): number {
  return header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
}
