import { expect, test } from "bun:test";
import fc from "fast-check";
import { hasField } from "../../src/protocol/http1/fields.ts";
import { stripHopByHop } from "../../src/protocol/http1/hop-by-hop.ts";
import { frameResponse } from "../../src/protocol/http1/message-framing.ts";
import { allowsNextResponse } from "../../src/protocol/http1/persistence.ts";
import { readPlainResponse } from "../../src/protocol/http1/plain-response.ts";
import { parseResponseHead } from "../../src/protocol/http1/response-head.ts";
import { responseHeads } from "../fixtures/http1/response-heads.ts";

const limits = { maxBytes: 2048, maxFields: 32 };

/** What the careful reader makes of a head, in the terms of the quick one. */
function readCarefully(bytes: Uint8Array) {
  const parsed = parseResponseHead(bytes, limits);
  if (parsed.kind !== "done") return undefined;
  const head = parsed.value;
  const framing = frameResponse(head, "GET");
  const stripped = stripHopByHop(head.fields);
  if (framing.kind !== "length" && framing.kind !== "chunked") return undefined;
  if (stripped.kind === "bad") return undefined;
  return {
    status: head.status,
    length: framing.kind === "length" ? framing.length : -1,
    closes: !allowsNextResponse(head, framing),
    dated: hasField(head.fields, "date"),
    used: parsed.used,
    fields: stripped.fields,
  };
}

/** Holds a head against the careful reader; gives whether the quick one could read it. */
function compare(text: string): boolean {
  const bytes = Buffer.from(text, "latin1");
  const plain = readPlainResponse(bytes, limits);
  if (plain === undefined) return false;
  const { spans, ...rest } = plain;
  let kept = "";
  for (let index = 0; index < spans.length; index += 2) kept += text.slice(spans[index], spans[index + 1]);
  const again = parseResponseHead(Buffer.from(`${kept}\r\n`, "latin1"), limits);
  const careful = readCarefully(bytes);
  expect({ ...rest, fields: again.kind === "done" ? again.value.fields : again }).toEqual(careful as never);
  return true;
}

const name = fc.constantFrom(
  "Content-Length",
  "content-length",
  "Transfer-Encoding",
  "TRANSFER-ENCODING",
  "Connection",
  "Keep-Alive",
  "Date",
  "date",
  "Server",
  "ETag",
  "Upgrade",
  "TE",
  "Via",
  "Trailer",
  "Proxy",
  "Proxy-Authenticate",
  "Proxy-Connection",
  "Proxy-Status",
  "Set-Cookie",
  "X-Ten-Lettr",
);
const value = fc.constantFrom(
  "",
  "5",
  "05",
  "5 ",
  "0",
  "999999999999999",
  "9007199254740993",
  "5, 5",
  "-1",
  "chunked",
  "Chunked",
  "gzip, chunked",
  "close",
  "Close",
  "keep-alive",
  "Keep-Alive, X-Ten-Lettr",
  "\tclose\t",
  "timeout=5",
  "a b",
  "\xff",
  "@lose",
);
const wild = fc
  .tuple(name, fc.constantFrom("", " ", "  "), value)
  .map(([key, blank, text]) => `${key}:${blank}${text}`);
const usual = fc.constantFrom(
  "Content-Length: 5",
  "Transfer-Encoding: chunked",
  "Connection: keep-alive",
  "Connection: close",
  "Keep-Alive: timeout=5",
  "Date: today",
  "Server: s",
  'ETag:\t"x" ',
);
const line = fc.oneof({ weight: 5, arbitrary: usual }, { weight: 1, arbitrary: wild });
const start = fc.constantFrom(
  ...Array.from({ length: 10 }, () => "HTTP/1.1 200 OK"),
  "HTTP/1.1 200 ",
  "HTTP/1.1 200",
  "HTTP/1.1 404 Not Found",
  "HTTP/1.1 206 \xe9",
  "HTTP/1.1 999 x",
  "HTTP/1.1 204 No Content",
  "HTTP/1.1 304 Not Modified",
  "HTTP/1.1 100 Continue",
  "HTTP/1.1 401 Who",
  "HTTP/1.1 407 Who",
  "HTTP/1.0 200 OK",
  "HTTP/1.2 200 OK",
  "HTTP/2.0 200 OK",
  "http/1.1 200 OK",
);

test("a plain response is read as the careful reader reads it, or left to that", () => {
  let plain = 0;
  fc.assert(
    fc.property(start, fc.array(line, { maxLength: 6 }), fc.string({ maxLength: 4 }), (first, lines, body) => {
      if (compare(`${[first, ...lines].join("\r\n")}\r\n\r\n${body}`)) plain += 1;
    }),
    { numRuns: 4000 },
  );
  // The comparison is about something.
  expect(plain).toBeGreaterThan(100);
});

test("a plain response that is damaged anywhere is read as the careful reader reads it, or left to that", () => {
  const whole = "HTTP/1.1 200 OK\r\nDate: x\r\nConnection: keep-alive\r\nContent-Length: 5\r\nServer: s\r\n\r\n";
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.constantFrom("", "\r", "\n", " ", "\0", ":", "-", "0", "x"), (at, put) => {
      compare(whole.slice(0, at) + put + whole.slice(at + 1));
      compare(whole.slice(0, at) + put + whole.slice(at));
      compare(whole.slice(0, at));
    }),
    { numRuns: 1500 },
  );
});

test.each(responseHeads.map(({ name: title, input }) => [title, input] as const))(
  "of all heads in the corpus, one with %s is read alike",
  (_title, input) => {
    compare(input);
    expect(readPlainResponse(Buffer.alloc(0), limits)).toBeUndefined();
  },
);
