import { describe, expect, test } from "bun:test";
import { chunkedBodies, type ChunkedVector, chunkedVectorLimits } from "../../../fixtures/http1/chunked-bodies.ts";
import { decodeInParts } from "../../../fixtures/http1/decode-in-parts.ts";
import { requestFramings } from "../../../fixtures/http1/request-framings.ts";
import { requestHeads } from "../../../fixtures/http1/request-heads.ts";
import { responseHeads } from "../../../fixtures/http1/response-heads.ts";
import { readableOutcome } from "../../../fixtures/http1/readable.ts";
import { type HeadVector, vectorLimits } from "../../../fixtures/http1/vector.ts";
import { type ChunkedDecoder, createChunkedDecoder } from "../../../../src/protocol/http1/chunked-decoder.ts";
import type { HeadParser } from "../../../../src/protocol/http1/head-parser.ts";
import { frameRequest, frameResponse, type ResponseFraming } from "../../../../src/protocol/http1/message-framing.ts";
import { createRequestHeadParser, type RequestHead } from "../../../../src/protocol/http1/request-head.ts";
import { createResponseHeadParser, type ResponseHead } from "../../../../src/protocol/http1/response-head.ts";

/** What may follow a message on its connection, and must not change how it is read. */
const followers = ["GET / HTTP/1.1\r\n\r\n", "\r\n", "\n", " ", "\x16\x03\x01\0", "x"];

describe("the corpus", () => {
  test("is large, and names every vector once", () => {
    const vectors = [...requestHeads, ...requestFramings, ...responseHeads, ...chunkedBodies];
    expect(vectors.length).toBeGreaterThanOrEqual(170);
    for (const list of [[...requestHeads, ...requestFramings], responseHeads, chunkedBodies]) {
      expect(new Set(list.map(({ name }) => name)).size).toBe(list.length);
      expect(new Set(list.map(({ expected }) => expected.kind)).size).toBe(3);
    }
  });
});

describe("a request head:", () => {
  for (const vector of [...requestHeads, ...requestFramings]) {
    test(vector.name, () =>
      checkHead(
        vector,
        () => createRequestHeadParser(vectorLimits),
        (head) => frameRequest(head),
      ),
    );
  }
});

describe("a response head:", () => {
  for (const vector of responseHeads) {
    test(vector.name, () =>
      checkHead(
        vector,
        () => createResponseHeadParser(vectorLimits),
        (head) => frameResponse(head, vector.requestMethod),
      ),
    );
  }
});

describe("a chunked body:", () => {
  for (const vector of chunkedBodies) test(vector.name, () => checkBody(vector));
});

/** Feeds a head whole, byte by byte, as every prefix to a new parser, and with something after it. */
function checkHead<Head extends RequestHead | ResponseHead>(
  { input, expected }: HeadVector<unknown>,
  create: () => HeadParser<Head, string>,
  frame: (head: Head) => ResponseFraming,
): void {
  const bytes = Buffer.from(input, "latin1");
  const parsed = create().parse(bytes);
  const whole = readableOutcome(parsed);
  if (expected.kind === "done") {
    expect<unknown>(whole).toEqual({ kind: "done", value: expected.head, used: bytes.length });
    if (parsed.kind === "done") expect(describeFraming(frame(parsed.value))).toBe(expected.framing);
  } else {
    expect(whole).toEqual(expected);
  }

  const resumed = create();
  for (let length = 0; length <= bytes.length; length++) {
    const prefix = bytes.subarray(0, length);
    const outcome = readableOutcome(resumed.parse(prefix));
    const fresh = readableOutcome(create().parse(prefix));
    expect(outcome).toEqual(fresh);
    if (outcome.kind === "more") {
      if (expected.kind === "bad") expect(length).toBeLessThan(expected.at + countOctetsToSettle(expected.code));
      continue;
    }
    expect<unknown>(outcome).toEqual(whole);
    break;
  }

  if (expected.kind === "more") return;
  for (const follower of followers) {
    const followed = Buffer.concat([bytes, Buffer.from(follower, "latin1")]);
    expect(readableOutcome(create().parse(followed))).toEqual(whole);
  }
}

/** How many octets from the offending one on are enough to refuse a head: it and, after a CR, the next. */
function countOctetsToSettle(code: string): number {
  // A version is another one only if it ends where a version ends.
  return code === "version_not_supported" ? "HTTP/2.0\r".length : 2;
}

function describeFraming(framing: ResponseFraming): string {
  if (framing.kind === "bad") return `bad ${framing.code}`;
  return framing.kind === "length" ? `length ${framing.length}` : framing.kind;
}

/** Feeds a body whole, byte by byte and with something after it, for its data and for its chunks. */
function checkBody({ input, expected, reading }: ChunkedVector): void {
  const bytes = Buffer.from(input, "latin1");
  for (const output of ["data", "chunks"] as const) {
    const create = (): ChunkedDecoder => createChunkedDecoder(chunkedVectorLimits, output, reading);
    for (const size of [bytes.length, 1, 2, 3, 7]) {
      const result = decodeInParts(create(), bytes, [Math.max(1, size)]);
      expect(result.kind).toBe(expected.kind);
      if (expected.kind === "bad") {
        expect(result).toMatchObject({ code: expected.code });
      } else if (expected.kind === "done") {
        const trailers = expected.trailers.map(([name, value]) => ({ name, value }));
        const wanted: string = output === "data" ? expected.data : expected.chunks;
        expect(result).toEqual({ kind: "done", output: wanted, trailers, used: bytes.length });
      } else if (output === "data") {
        expect(result).toEqual({ kind: "more", output: expected.data });
      }
    }
    if (expected.kind === "more") continue;
    for (const follower of followers) {
      const followed = Buffer.concat([bytes, Buffer.from(follower, "latin1")]);
      expect(decodeInParts(create(), followed, [followed.length])).toEqual(
        decodeInParts(create(), bytes, [bytes.length]),
      );
    }
  }
}
