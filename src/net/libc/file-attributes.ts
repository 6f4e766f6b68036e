import { openLibc } from "./libc.ts";

/** Bytes of an attribute at most (XATTR_SIZE_MAX). */
const MAX_BYTES = 65_536;

/** An extended attribute of a file, links followed (xattr(7)); undefined where there is none, or none can be read. */
export function readAttribute(path: string, name: string): Buffer | undefined {
  const into = Buffer.alloc(MAX_BYTES);
  const length = openLibc()?.getAttribute(endWithZero(path), endWithZero(name), into) ?? -1;
  return length < 0 ? undefined : into.subarray(0, length);
}

/** Sets an extended attribute; gives the number of the error, and zero for success. */
export function writeAttribute(path: string, name: string, value: Uint8Array): number {
  const result = openLibc()?.setAttribute(endWithZero(path), endWithZero(name), value) ?? -ENOTSUP;
  return result < 0 ? -result : 0;
}

const ENOTSUP = 95;

function endWithZero(text: string): Buffer {
  return Buffer.from(`${text}\0`);
}
