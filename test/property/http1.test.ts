import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { readableOutcome } from "../fixtures/http1/readable.ts";
import type { Parsed } from "../../src/protocol/parsed.ts";
import { chunkedBodies, chunkedVectorLimits } from "../fixtures/http1/chunked-bodies.ts";
import { requestFramings } from "../fixtures/http1/request-framings.ts";
import { requestHeads } from "../fixtures/http1/request-heads.ts";
import { responseHeads } from "../fixtures/http1/response-heads.ts";
import { vectorLimits } from "../fixtures/http1/vector.ts";
import { createChunkedDecoder } from "../../src/protocol/http1/chunked-decoder.ts";
import { encodeChunk, encodeLastChunk } from "../../src/protocol/http1/chunked-encoder.ts";
import { splitList } from "../../src/protocol/http1/field-lists.ts";
import { encodeFields, type Field } from "../../src/protocol/http1/fields.ts";
import type { HeadParser } from "../../src/protocol/http1/head-parser.ts";
import { stripHopByHop } from "../../src/protocol/http1/hop-by-hop.ts";
import { frameRequest, frameResponse } from "../../src/protocol/http1/message-framing.ts";
import { formatProxyStatus } from "../../src/protocol/http1/proxy-status.ts";
import { createRequestHeadParser } from "../../src/protocol/http1/request-head.ts";
import { parseRequestTarget } from "../../src/protocol/http1/request-target.ts";
import { createResponseHeadParser } from "../../src/protocol/http1/response-head.ts";
import { writeRequestHead, writeResponseHead } from "../../src/protocol/http1/write-head.ts";
import { decodeInParts } from "../fixtures/http1/decode-in-parts.ts";
import { parseRequestHead, parseResponseHead } from "../support/parse-head.ts";

const limits = { maxBytes: 65_536, maxFields: 100 };
const chunkedLimits = { maxExtensionBytes: 256, maxTrailerBytes: 4096, maxTrailerFields: 20 };

function ofCharacters(characters: string, minLength: number, maxLength: number): fc.Arbitrary<string> {
  return fc.string({ unit: fc.constantFrom(...characters.split("")), minLength, maxLength });
}

const tokenCharacters = "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const visible = Array.from({ length: 94 }, (_, index) => String.fromCharCode(0x21 + index)).join("");
const obsText = Array.from({ length: 128 }, (_, index) => String.fromCharCode(0x80 + index)).join("");

const token = ofCharacters(tokenCharacters, 1, 20);
const text = ofCharacters(`\t ${visible}${obsText}`, 0, 40);
const value = text.map((raw) => raw.replace(/^[ \t]+|[ \t]+$/g, ""));
const field: fc.Arbitrary<Field> = fc.record({ name: token, value }, { noNullPrototype: true });
const fields = fc.array(field, { maxLength: 12 });
/** Any UTF-16, ill-formed too. */
const anyText = fc.string({ unit: fc.nat(0xffff).map((code) => String.fromCharCode(code)), maxLength: 600 });
const bytes = fc.uint8Array({ maxLength: 300 });
/** Lengths of the parts in which an input arrives; the last one repeats. */
const parts = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 });

/** Gives a parser ever longer prefixes of the input. */
function parseInParts<T>(
  parser: HeadParser<T, string>,
  input: Uint8Array,
  lengths: readonly number[],
): Parsed<T, string> {
  let length = 0;
  for (let index = 0; length < input.length; index++) {
    length = Math.min(input.length, length + (lengths[Math.min(index, lengths.length - 1)] as number));
    const outcome = parser.parse(input.slice(0, length));
    if (outcome.kind !== "more") return outcome;
  }
  return { kind: "more" };
}

describe("heads", () => {
  test("no split of a request head changes its outcome", () => {
    const inputs = fc.constantFrom(
      ...[...requestHeads, ...requestFramings].map(({ input }) => Uint8Array.from(Buffer.from(input, "latin1"))),
    );
    const check = (input: Uint8Array, lengths: number[]): void => {
      const whole = readableOutcome(parseRequestHead(input, vectorLimits));
      expect(readableOutcome(parseInParts(createRequestHeadParser(vectorLimits), input, lengths))).toEqual(whole);
    };
    fc.assert(fc.property(inputs, parts, check), { numRuns: 1000 });
    fc.assert(fc.property(bytes, parts, check));
  });

  test("no split of a response head changes its outcome", () => {
    const inputs = fc.constantFrom(...responseHeads.map(({ input }) => Uint8Array.from(Buffer.from(input, "latin1"))));
    const check = (input: Uint8Array, lengths: number[]): void => {
      const whole = readableOutcome(parseResponseHead(input, vectorLimits));
      expect(readableOutcome(parseInParts(createResponseHeadParser(vectorLimits), input, lengths))).toEqual(whole);
    };
    fc.assert(fc.property(inputs, parts, check), { numRuns: 1000 });
    fc.assert(fc.property(bytes, parts, check));
  });

  test("a request head that is written is read back as it was", () => {
    const heads = fc.record({ method: token, target: ofCharacters(visible, 1, 60), fields });
    fc.assert(
      fc.property(heads, bytes, (head, rest) => {
        const written = writeRequestHead(head);
        const outcome = parseRequestHead(Buffer.concat([written, rest]), limits);
        expect(readableOutcome(outcome)).toEqual({
          kind: "done",
          value: { ...head, version: "1.1" },
          used: written.length,
        });
      }),
    );
  });

  test("a response head that is written is read back as it was", () => {
    const heads = fc.record({ status: fc.integer({ min: 100, max: 999 }), reason: text, fields });
    fc.assert(
      fc.property(heads, bytes, (head, rest) => {
        const written = writeResponseHead(head);
        const outcome = parseResponseHead(Buffer.concat([written, rest]), limits);
        expect(readableOutcome(outcome)).toEqual({
          kind: "done",
          value: { ...head, version: "1.1" },
          used: written.length,
        });
      }),
    );
  });

  test("what is passed on re-parses to what was received, less what must go", () => {
    const names = [
      "Host",
      "Connection",
      "X-One",
      "TE",
      "Via",
      "Upgrade",
      "Content-Length",
      "Proxy-Authorization",
      "Cookie",
    ];
    const values = ["close", "x-one, cookie", "te", "host", "5", "", "a b"];
    const some = fc.array(fc.record({ name: fc.constantFrom(...names), value: fc.constantFrom(...values) }), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(some, (received) => {
        const result = stripHopByHop(encodeFields(received));
        if (result.kind === "bad") return;
        const outcome = parseRequestHead(
          writeRequestHead({ method: "GET", target: "/", fields: result.fields }),
          limits,
        );
        const nominated = received
          .filter(({ name }) => name === "Connection")
          .flatMap((line) => line.value.split(/, /));
        const expected = received.filter(({ name }) => {
          if (["Connection", "TE", "Upgrade", "Proxy-Authorization"].includes(name)) return false;
          return name !== "X-One" || !nominated.includes("x-one");
        });
        expect(readableOutcome(outcome)).toMatchObject({ kind: "done", value: { fields: expected } });
        const twice = stripHopByHop(result.fields);
        expect(twice.kind === "done" && [...twice.fields]).toEqual(expected);
      }),
    );
  });
});

describe("chunked bodies", () => {
  const decoded = fc.constantFrom(...chunkedBodies.map(({ input }) => Uint8Array.from(Buffer.from(input, "latin1"))));

  test("no split changes what a body decodes to, nor the chunks that are passed on", () => {
    const ways = (["data", "chunks"] as const).flatMap((output) =>
      (["strict", "tolerant"] as const).map((reading) => [output, reading] as const),
    );
    for (const [output, reading] of ways) {
      const check = (input: Uint8Array, lengths: number[]): void => {
        const create = () => createChunkedDecoder(chunkedVectorLimits, output, reading);
        const whole = decodeInParts(create(), input, [input.length + 1]);
        const split = decodeInParts(create(), input, lengths);
        // What was passed on before an offence was found depends on when its bytes came.
        expect(split).toEqual(whole.kind === "bad" ? { ...whole, output: split.output } : whole);
      };
      fc.assert(fc.property(decoded, parts, check), { numRuns: 500 });
      fc.assert(fc.property(bytes, parts, check));
    }
  });

  test("what is encoded decodes to the same data and trailers, and is passed on as it is", () => {
    const trailers = fc.array(fc.record({ name: token.map((name) => `x-${name}`), value }), { maxLength: 5 });
    fc.assert(
      fc.property(fc.array(bytes, { maxLength: 8 }), trailers, parts, bytes, (data, fieldLines, lengths, rest) => {
        const body = Buffer.concat([...data.map(encodeChunk), encodeLastChunk(fieldLines)]);
        const input = Buffer.concat([body, rest]);
        const done = { kind: "done", trailers: fieldLines, used: body.length };
        const content = decodeInParts(createChunkedDecoder(chunkedLimits, "data"), input, lengths);
        expect(content).toEqual({ ...done, output: Buffer.concat(data).toString("latin1") } as never);
        const chunks = decodeInParts(createChunkedDecoder(chunkedLimits, "chunks"), input, lengths);
        expect(chunks).toEqual({ ...done, output: body.toString("latin1") } as never);
      }),
    );
  });
});

describe("whatever comes", () => {
  test("nothing throws, and offsets lie within what was given", () => {
    fc.assert(
      fc.property(bytes, (input) => {
        for (const outcome of [parseRequestHead(input, vectorLimits), parseResponseHead(input, vectorLimits)]) {
          if (outcome.kind === "bad") expect(outcome.at).toBeLessThanOrEqual(input.length);
          if (outcome.kind === "done") expect(outcome.used).toBeLessThanOrEqual(input.length);
        }
        const step = createChunkedDecoder(chunkedLimits, "chunks").push(input);
        if (step.kind === "bad") expect(step.at).toBeLessThan(input.length);
      }),
    );
  });

  test("every target and every list has an outcome", () => {
    fc.assert(
      fc.property(anyText, fc.constantFrom("GET", "CONNECT", "OPTIONS"), (target, method) => {
        for (const input of [target, `http://${target}`, `http://a/${target}`]) {
          const outcome = parseRequestTarget(method, input);
          if (outcome.kind === "bad") expect(outcome.at).toBeLessThanOrEqual(input.length);
          else expect(outcome.used).toBe(input.length);
        }
        const elements = splitList(target) ?? [];
        for (const element of elements) expect(target).toContain(element);
      }),
    );
  });

  test("every head with framing fields has one framing", () => {
    const lines = fc.record({ name: fc.constantFrom("Content-Length", "Transfer-Encoding"), value });
    fc.assert(
      fc.property(
        fc.array(lines, { maxLength: 3 }),
        token,
        fc.integer({ min: 100, max: 999 }),
        (framing, method, status) => {
          const head = { version: "1.1" as const, fields: encodeFields(framing) };
          expect(frameRequest({ ...head, method }).kind).toBeOneOf(["none", "length", "chunked", "bad"]);
          const kinds = ["none", "length", "chunked", "until-close", "tunnel", "bad"];
          expect(kinds).toContain(frameResponse({ ...head, status }, method).kind);
        },
      ),
    );
  });

  test("every text makes a Proxy-Status that is one bounded field value", () => {
    fc.assert(
      fc.property(anyText, anyText, (proxy, details) => {
        const status = formatProxyStatus({ proxy, nextHop: details, details });
        expect(status).toMatch(/^[\x20-\x7e]*$/);
        expect(status.length).toBeLessThan(2000);
      }),
    );
  });
});
