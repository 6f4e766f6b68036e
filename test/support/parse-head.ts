import type { HeadLimits } from "../../src/protocol/http1/head-parser.ts";
import {
  createRequestHeadParser,
  type RequestHead,
  type RequestHeadError,
} from "../../src/protocol/http1/request-head.ts";
import {
  createResponseHeadParser,
  type ResponseHead,
  type ResponseHeadError,
} from "../../src/protocol/http1/response-head.ts";
import type { Parsed } from "../../src/protocol/parsed.ts";

/** Reads a request head that is there at once. */
export function parseRequestHead(bytes: Uint8Array, limits: HeadLimits): Parsed<RequestHead, RequestHeadError> {
  return createRequestHeadParser(limits).parse(bytes);
}

/** Reads a response head that is there at once. */
export function parseResponseHead(bytes: Uint8Array, limits: HeadLimits): Parsed<ResponseHead, ResponseHeadError> {
  return createResponseHeadParser(limits).parse(bytes);
}
