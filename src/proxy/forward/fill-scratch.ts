import type { PlainRequest } from "../../protocol/http1/plain-request.ts";
import type { PlainResponse } from "../../protocol/http1/plain-response.ts";
import { formatPlainTail } from "./client-head.ts";
import type { Memory } from "./recall.ts";
import { copyOctets, scratch } from "./scratch.ts";

/** Octets of a head that are left for what we say ourselves, which is a few lines. */
const OWN_LINES = 2048;

/** Whether so many octets, and what we add to them, can be put together at once. */
export function fitsScratch(length: number): boolean {
  return length <= scratch.length - OWN_LINES;
}

/** Writes the head for the origin, as `formatOriginHead` would, into the scratch space; gives its length. */
export function fillOriginHead({ afterPath, afterFields }: Memory, request: PlainRequest, bytes: Uint8Array): number {
  const { authorityEnd, pathEnd, spans } = request;
  let at = copyOctets(bytes, 0, METHOD_LENGTH, scratch, 0);
  at = copyOctets(bytes, authorityEnd, pathEnd, scratch, at);
  at = copyOctets(afterPath, 0, afterPath.length, scratch, at);
  at = copySpans(bytes, spans, at);
  return copyOctets(afterFields, 0, afterFields.length, scratch, at);
}

/** `GET `. */
const METHOD_LENGTH = 4;

/** Writes the head for the client into the scratch space, and what there is of the body, between two offsets; gives their length. */
export function fillAnswer(
  plain: PlainResponse,
  bytes: Uint8Array,
  via: string,
  body: Uint8Array,
  from: number,
  to: number,
): number {
  let at = copySpans(bytes, plain.spans, 0);
  at += scratch.write(formatPlainTail(plain, { via, close: false }), at, "latin1");
  return copyOctets(body, from, to, scratch, at);
}

function copySpans(bytes: Uint8Array, spans: readonly number[], at: number): number {
  let end = at;
  for (let index = 0; index < spans.length; index += 2) {
    end = copyOctets(bytes, spans[index] as number, spans[index + 1] as number, scratch, end);
  }
  return end;
}
