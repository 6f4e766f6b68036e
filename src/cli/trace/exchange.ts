import type { Duplex } from "node:stream";
import { frameResponse } from "../../protocol/http1/message-framing.ts";
import { createResponseHeadParser } from "../../protocol/http1/response-head.ts";
import { type BodyReader, createBodyReader } from "../../protocol/http1/body-reader.ts";
import type { Recording } from "./recording.ts";

/** How an exchange ended. */
export type ExchangeEnd =
  | { readonly kind: "complete" }
  /** The body is longer than is read of it. */
  | { readonly kind: "cut" }
  | { readonly kind: "failed"; readonly text: string };

/** What a head may have: no more than browsers take. */
export const HEAD_LIMITS = { maxBytes: 64 * 1024, maxFields: 200 };
/** Bytes of a body that are read: a trace is about how it begins. */
const MAX_BODY_BYTES = 256 * 1024;
/** Interim responses before the final one: real servers send one or two. */
const MAX_INTERIM = 32;

/** Sends a GET and reads until its response is complete, or long enough. Keeps both in `recording`. */
export function exchange(
  stream: Duplex,
  head: Uint8Array,
  recording: Recording,
  now: () => number,
): Promise<ExchangeEnd> {
  return new Promise((resolve) => {
    const reader = new ResponseReader();
    const settle = (end: ExchangeEnd) => {
      stream.off("data", take);
      stream.off("end", finish);
      stream.off("close", finish);
      stream.resume();
      resolve(end);
    };
    const take = (bytes: Uint8Array) => {
      recording.add(now(), "server", bytes);
      const end = reader.push(bytes);
      if (end !== undefined) settle(end);
    };
    const finish = () => settle(reader.end());
    // What broke it is told by "close", which follows.
    stream.on("error", () => {});
    stream.on("data", take);
    stream.on("end", finish);
    stream.on("close", finish);
    recording.add(now(), "client", head);
    stream.write(head);
  });
}

const COMPLETE: ExchangeEnd = { kind: "complete" };

/** Finds the end of a response. */
class ResponseReader {
  #waiting: Uint8Array = new Uint8Array(0);
  #parser = createResponseHeadParser(HEAD_LIMITS);
  #body: BodyReader | undefined;
  #mayEnd = false;
  #bodyBytes = 0;
  #interim = 0;

  push(bytes: Uint8Array): ExchangeEnd | undefined {
    if (this.#body !== undefined) return this.#pushBody(this.#body, bytes);
    this.#waiting = Buffer.concat([this.#waiting, bytes]);
    const parsed = this.#parser.parse(this.#waiting);
    if (parsed.kind === "more") return undefined;
    if (parsed.kind === "bad") return refuse(`${parsed.code} at byte ${parsed.at}`);
    const rest = this.#waiting.subarray(parsed.used);
    const { status } = parsed.value;
    this.#waiting = new Uint8Array(0);
    if (status < 200 && status !== 101) {
      this.#interim += 1;
      if (this.#interim > MAX_INTERIM)
        return { kind: "failed", text: `The server sent more than ${MAX_INTERIM} interim responses and no final one` };
      this.#parser = createResponseHeadParser(HEAD_LIMITS);
      return this.push(rest);
    }
    const framing = frameResponse(parsed.value, "GET");
    if (framing.kind === "bad") return refuse(framing.code);
    if (framing.kind === "tunnel") return COMPLETE;
    this.#body = createBodyReader(framing, "data", "tolerant");
    this.#mayEnd = framing.kind === "until-close";
    return this.#body === undefined ? COMPLETE : this.#pushBody(this.#body, rest);
  }

  /** No more bytes will come. */
  end(): ExchangeEnd {
    if (this.#mayEnd) return COMPLETE;
    const where = this.#body === undefined ? "before" : "in the middle of";
    return { kind: "failed", text: `The server closed the connection ${where} its response` };
  }

  #pushBody(body: BodyReader, bytes: Uint8Array): ExchangeEnd | undefined {
    this.#bodyBytes += bytes.length;
    const step = body.push(bytes);
    if (step.kind === "bad") return refuse(step.code);
    if (step.kind === "done") return COMPLETE;
    return this.#bodyBytes > MAX_BODY_BYTES ? { kind: "cut" } : undefined;
  }
}

function refuse(what: string): ExchangeEnd {
  return { kind: "failed", text: `The response is not well-formed HTTP/1.1: ${what}` };
}
