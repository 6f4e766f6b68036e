import type { Fields } from "../../protocol/http1/fields.ts";
import type { RequestHead } from "../../protocol/http1/request-head.ts";
import type { Memory } from "./recall.ts";
import type { Scratch } from "./scratch.ts";

/** Octets of a head that are left for what we say ourselves, which is a few lines. */
const OWN_LINES = 2048;

/** Whether so many octets, and what we add to them, can be put together at once. */
export function fitsScratch(length: number, scratch: Scratch): boolean {
  return length <= scratch.bytes.length - OWN_LINES;
}

/** Writes the head for the origin, as `formatOriginHead` would, into the scratch space; gives its length. */
export function fillOriginHead(memory: Memory, head: RequestHead, fields: Fields, scratch: Scratch): number {
  const { prefix, beforePath, afterPath, afterFields } = memory;
  let at = scratch.put(beforePath, 0, beforePath.length, 0);
  at = scratch.put(head.octets, head.targetStart + prefix.length - 1, head.targetEnd, at);
  at = scratch.put(afterPath, 0, afterPath.length, at);
  at = fields.fill(scratch.bytes, at);
  return scratch.put(afterFields, 0, afterFields.length, at);
}
