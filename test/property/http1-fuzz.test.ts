import { describe, expect, test } from "bun:test";
import { chunkedBodies, chunkedVectorLimits } from "../fixtures/http1/chunked-bodies.ts";
import { decodeInParts } from "../fixtures/http1/decode-in-parts.ts";
import { requestFramings } from "../fixtures/http1/request-framings.ts";
import { requestHeads } from "../fixtures/http1/request-heads.ts";
import { responseHeads } from "../fixtures/http1/response-heads.ts";
import { vectorLimits } from "../fixtures/http1/vector.ts";
import { createRandom } from "../support/seeded-random.ts";
import { createChunkedDecoder } from "../../src/protocol/http1/chunked-decoder.ts";
import { CONTENT_LENGTH } from "../../src/protocol/http1/field-names.ts";
import type { Fields } from "../../src/protocol/http1/fields.ts";
import { readableOutcome } from "../fixtures/http1/readable.ts";
import type { HeadParser } from "../../src/protocol/http1/head-parser.ts";
import { stripHopByHop } from "../../src/protocol/http1/hop-by-hop.ts";
import {
  canonicaliseLength,
  frameRequest,
  frameResponse,
  type ResponseFraming,
} from "../../src/protocol/http1/message-framing.ts";
import { createRequestHeadParser, type RequestHead } from "../../src/protocol/http1/request-head.ts";
import { parseRequestTarget } from "../../src/protocol/http1/request-target.ts";
import { createResponseHeadParser, type ResponseHead } from "../../src/protocol/http1/response-head.ts";
import { writeRequestHead, writeResponseHead } from "../../src/protocol/http1/write-head.ts";

/**
 * Mutates the vectors of the corpus and checks, for every input, what must hold
 * whatever it is. The default is about a second; `FUZZ_INPUTS=1000000` for a long
 * run, `FUZZ_SEED` for another sequence. A failure names its input.
 */
const inputs = Number(process.env["FUZZ_INPUTS"] ?? 40_000);
const seed = Number(process.env["FUZZ_SEED"] ?? 9112);
/** Milliseconds. A hundred times what an input needs; only a hang takes longer. */
const timeout = 30_000 + inputs;

/** What is likely to matter between two bytes of a message. */
const dictionary = [
  ...'\r\n \t:;,="\\\0\x7f\x80\xff+-0159afx'.split(""),
  "\r\n",
  "\r\n\r\n",
  "\n\n",
  "0\r\n\r\n",
  "HTTP/1.1",
  "HTTP/1.0",
  "Content-Length: 5\r\n",
  "Content-Length",
  "Transfer-Encoding: chunked\r\n",
  "chunked",
  "Connection: host\r\n",
  "Connection: x\r\n",
  "Host: a\r\n",
  "http://a.example/",
  "9007199254740993",
  "ffffffffffffffff",
  "GET / HTTP/1.1\r\n\r\n",
];

/** Gives an integer from 0 (inclusive) to `bound` (exclusive). */
type Roll = (bound: number) => number;

/** Changes a text in one to four places, or joins it with another. */
function mutate(roll: Roll, texts: readonly string[]): string {
  let text = texts[roll(texts.length)] as string;
  for (let count = 1 + roll(4); count > 0; count--) {
    const at = roll(text.length + 1);
    const length = roll(8);
    switch (roll(7)) {
      case 0:
        text = text.slice(0, at) + String.fromCharCode(roll(256)) + text.slice(at + 1);
        break;
      case 1:
        text = text.slice(0, at) + text.slice(at + length);
        break;
      case 2:
        text = text.slice(0, at) + text.slice(at, at + length).repeat(1 + roll(4)) + text.slice(at);
        break;
      case 3:
        text = text.slice(0, at);
        break;
      case 4: {
        const other = texts[roll(texts.length)] as string;
        text = text.slice(0, at) + other.slice(roll(other.length + 1));
        break;
      }
      default:
        text = text.slice(0, at) + (dictionary[roll(dictionary.length)] as string) + text.slice(at);
    }
  }
  return text;
}

/** Runs one check on mutations of some texts, and names the input that it fails on. */
function fuzz(texts: readonly string[], share: number, check: (input: Uint8Array, roll: Roll) => boolean): void {
  const random = createRandom(seed);
  const roll: Roll = (bound) => random.below(bound);
  let done = 0;
  for (let count = 0; count < inputs * share; count++) {
    const text = mutate(roll, texts);
    try {
      if (check(new Uint8Array(Buffer.from(text, "latin1")), roll)) done++;
    } catch (cause) {
      throw new Error(`Input ${count} of seed ${seed} fails: ${JSON.stringify(text)}`, { cause });
    }
  }
  // A fuzz that never gets past the first checks would prove nothing about the rest.
  expect(done).toBeGreaterThan((inputs * share) / 100);
}

/** Checks what holds for every head; tells whether this one was valid. */
function checkHead<Head extends RequestHead | ResponseHead>(
  input: Uint8Array,
  roll: Roll,
  create: () => HeadParser<Head, string>,
  rewrite: (head: Head) => Uint8Array,
): Head | undefined {
  const whole = create().parse(input);
  const parser = create();
  const cut = roll(input.length + 1);
  const early = parser.parse(input.subarray(0, cut));
  const split = early.kind === "more" ? parser.parse(input) : early;
  if (!Bun.deepEquals(readableOutcome(split), readableOutcome(whole)))
    throw new Error(`A cut at ${cut} changes the outcome.`);
  if (whole.kind === "more" && input.length >= vectorLimits.maxBytes) throw new Error("The limit is not kept.");
  if (whole.kind === "bad" && whole.at > Math.min(input.length, vectorLimits.maxBytes))
    throw new Error("The offset is outside.");
  if (whole.kind !== "done") return undefined;

  const { value: head, used } = whole;
  if (used > Math.min(input.length, vectorLimits.maxBytes)) throw new Error("More is used than there was.");
  if ([...head.fields].length > vectorLimits.maxFields) throw new Error("There are too many fields.");
  const again = create().parse(rewrite(head));
  if (again.kind === "done" && !Bun.deepEquals([...again.value.fields], [...head.fields]))
    throw new Error("Written and read, the fields differ.");
  // Written anew, a head may have one space more in every line.
  if (again.kind === "bad" && !again.code.includes("too_l"))
    throw new Error(`Written and read, it is refused: ${again.code}.`);
  if (again.kind === "more") throw new Error("Written and read, it has no end.");
  const stripped = stripHopByHop(head.fields);
  if (stripped.kind === "done") {
    const twice = stripHopByHop(stripped.fields);
    if (twice.kind === "bad" || !Bun.deepEquals([...twice.fields], [...stripped.fields]))
      throw new Error("Stripping twice strips more.");
    checkOctets(stripped.fields);
  }
  return head;
}

/** The octets that go on are read by a strict reader as the fields that they are. */
function checkOctets(fields: Fields): void {
  const start = Buffer.from("GET / HTTP/1.1\r\n", "latin1");
  const target = Buffer.alloc(start.length + fields.octets.length + 2);
  target.set(start);
  const end = fields.fill(target, start.length);
  target.write("\r\n", end, "latin1");
  const again = createRequestHeadParser({ maxBytes: 4096, maxFields: 64 }).parse(target.subarray(0, end + 2));
  if (again.kind !== "done" || !Bun.deepEquals([...again.value.fields], [...fields]))
    throw new Error("The octets that go on are other fields.");
}

/** A framing that is not bad must rest on exactly one reading of the fields. `allowsSame`: equal lengths are one. */
function checkFraming(framing: ResponseFraming, fields: Fields, allowsSame: boolean): void {
  const lengths = [...fields].filter(({ name }) => name.toLowerCase() === "content-length");
  const codings = [...fields].filter(({ name }) => name.toLowerCase() === "transfer-encoding");
  const values = new Set(lengths.flatMap(({ value }) => value.split(",").map(Number)));
  const sound = allowsSame ? values.size + codings.length <= 1 : lengths.length + codings.length <= 1;
  if (framing.kind === "bad" || framing.kind === "tunnel") return;
  if (!sound) throw new Error("Ambiguous fields are framed.");
  if (framing.kind === "length" && !(framing.length >= 0 && values.has(framing.length)))
    throw new Error("The length is another.");
  if (framing.kind === "chunked" && codings[0]?.value.toLowerCase() !== "chunked")
    throw new Error("The coding is another.");
}

describe("a fuzz", () => {
  test(
    "of request heads finds no throw and no rule broken",
    () => {
      const texts = [...requestHeads, ...requestFramings].map(({ input }) => input);
      fuzz(texts, 0.4, (input, roll) => {
        const head = checkHead<RequestHead>(input, roll, () => createRequestHeadParser(vectorLimits), writeRequestHead);
        if (head === undefined) return false;
        checkFraming(frameRequest(head), head.fields, false);
        const target = parseRequestTarget(head.method, head.target);
        if (target.kind === "done" && target.value.form === "absolute" && target.value.authority.includes("@"))
          throw new Error("There is userinfo.");
        return true;
      });
    },
    timeout,
  );

  test(
    "of response heads finds no throw and no rule broken",
    () => {
      const texts = responseHeads.map(({ input }) => input);
      fuzz(texts, 0.3, (input, roll) => {
        const head = checkHead<ResponseHead>(
          input,
          roll,
          () => createResponseHeadParser(vectorLimits),
          writeResponseHead,
        );
        if (head === undefined) return false;
        const framing = frameResponse(head, "GET");
        checkFraming(framing, head.fields, true);
        if (framing.kind === "length") {
          const passedOn = canonicaliseLength(head.fields).getAll(CONTENT_LENGTH);
          if (!Bun.deepEquals(passedOn, [String(framing.length)]))
            throw new Error("The length is passed on otherwise.");
        }
        return true;
      });
    },
    timeout,
  );

  test(
    "of chunked bodies finds no throw and no rule broken",
    () => {
      const texts = chunkedBodies.map(({ input }) => input);
      fuzz(texts, 0.3, (input, roll) => {
        const lengths = [1 + roll(input.length + 1), 1 + roll(8)];
        const reading = roll(2) === 0 ? "strict" : "tolerant";
        const create = (output: "data" | "chunks") => createChunkedDecoder(chunkedVectorLimits, output, reading);
        const data = decodeInParts(create("data"), input, [input.length + 1]);
        const split = decodeInParts(create("data"), input, lengths);
        if (split.kind !== data.kind) throw new Error(`Parts of ${lengths.join()} change the outcome.`);
        if (data.output.length > input.length) throw new Error("There are more data than bytes.");
        if (data.kind === "bad") return false;
        if (!Bun.deepEquals(split, data)) throw new Error(`Parts of ${lengths.join()} change the data.`);
        if (data.kind === "more") return false;
        const chunks = decodeInParts(create("chunks"), input, lengths);
        const passedOn = Buffer.from(chunks.output, "latin1");
        // Extensions, blanks and bare LF are gone, so that none is allowed any more.
        const strict = { ...chunkedVectorLimits, maxExtensionBytes: 0, maxTrailerBytes: 1024 };
        const again = decodeInParts(createChunkedDecoder(strict, "data"), passedOn, [passedOn.length]);
        const expected = { kind: "done", output: data.output, trailers: data.trailers, used: passedOn.length };
        if (!Bun.deepEquals(again, expected)) throw new Error("What is passed on decodes to something else.");
        return true;
      });
    },
    timeout,
  );
});
