import { isUtf8 } from "node:buffer";
import { constants, type Stats } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { readErrorCode } from "../error-code.ts";

/** What a file is for. It decides how large the file may be. */
export type FileKind = "config" | "users" | "pem" | "secret" | "pac" | "list";

/** Bytes that a file may have: many times the size of a real one, and small enough for the memory. */
const MAX_BYTES: Readonly<Record<FileKind, number>> = {
  config: 256 * 1024 * 1024,
  users: 64 * 1024 * 1024,
  pem: 8 * 1024 * 1024,
  secret: 64 * 1024,
  pac: 4 * 1024 * 1024,
  list: 128 * 1024 * 1024,
};

/** Files that must be UTF-8: another encoding would change a password or a name. Bundles of certificates have comments in any encoding. */
const mustBeUtf8: ReadonlySet<FileKind> = new Set(["config", "secret", "list"]);

export type FileText =
  | { readonly ok: true; readonly text: string }
  /** `reason` continues a sentence: `it is a folder`. `missing`: nothing has this name. */
  | { readonly ok: false; readonly reason: string; readonly missing?: true };

/**
 * Reads the text of a regular file, up to the size that its kind may have.
 * Never waits for a named pipe, and never reads a device: a pipe without a
 * writer would block a thread of the runtime, and /dev/zero has no end.
 */
export async function readTextFile(path: string, kind: FileKind): Promise<FileText> {
  let file: FileHandle | undefined;
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    const found = await file.stat();
    if (!found.isFile()) return { ok: false, reason: describeNonRegular(found) };
    const bytes = found.size > MAX_BYTES[kind] ? undefined : await readUpTo(file, found.size, MAX_BYTES[kind]);
    if (bytes === undefined) return { ok: false, reason: `it is larger than ${formatMebibytes(MAX_BYTES[kind])}` };
    const text = bytes.toString("utf8");
    if (mustBeUtf8.has(kind) && !isUtf8(bytes)) return { ok: false, reason: describeOtherEncoding(text) };
    return { ok: true, text };
  } catch (error) {
    const missing = readErrorCode(error) === "ENOENT";
    return { ok: false, reason: describeReadError(error), ...(missing && { missing }) };
  } finally {
    await file?.close();
  }
}

/** The whole file; undefined when it has more than `max` bytes. `size` may be wrong: the file may grow, and files of /proc have none. */
async function readUpTo(file: FileHandle, size: number, max: number): Promise<Buffer | undefined> {
  // One byte more than expected, so that the end shows without a larger buffer.
  let buffer = Buffer.allocUnsafe(size + 1);
  let length = 0;
  for (;;) {
    if (length === buffer.length) {
      if (length > max) return undefined;
      buffer = Buffer.concat([buffer], Math.min(max + 1, length * 2 + 4096));
    }
    const { bytesRead } = await file.read(buffer, length, buffer.length - length, null);
    if (bytesRead === 0) return buffer.subarray(0, length);
    length += bytesRead;
  }
}

/** `text` has U+FFFD for the first bytes that are not UTF-8. */
function describeOtherEncoding(text: string): string {
  const line = text.slice(0, text.indexOf("\u{FFFD}")).split("\n").length;
  return `line ${line} is not UTF-8`;
}

function describeNonRegular(found: Stats): string {
  if (found.isDirectory()) return "it is a folder";
  return found.isFIFO() ? "it is a named pipe and not a regular file" : "it is not a regular file";
}

/** Describes the error of a file operation: `there is no such file or folder`. */
export function describeReadError(error: unknown): string {
  const code = readErrorCode(error);
  switch (code) {
    case "ENOENT":
    case "ENOTDIR":
      return "there is no such file or folder";
    case "EACCES":
    case "EPERM":
      return "the permission is missing";
    case "EISDIR":
      return "it is a folder";
    case "ELOOP":
      return "its links lead in a circle";
    case "ENXIO":
      return "it is not a regular file";
    default:
      return String(code ?? error);
  }
}

function formatMebibytes(bytes: number): string {
  const mebibyte = 1024 * 1024;
  return bytes >= mebibyte ? `${bytes / mebibyte} MiB` : `${bytes / 1024} KiB`;
}
