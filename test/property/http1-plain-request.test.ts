import { expect, test } from "bun:test";
import fc from "fast-check";
import { getAll } from "../../src/protocol/http1/fields.ts";
import { AUTHORITY_START, readPlainRequest } from "../../src/protocol/http1/plain-request.ts";
import { parseRequestHead } from "../../src/protocol/http1/request-head.ts";
import { hasPassed } from "../../src/proxy/forward/via.ts";
import { readForwardRequest } from "../../src/proxy/handshake/forward-request.ts";
import { requestHeads } from "../fixtures/http1/request-heads.ts";

const limits = { maxBytes: 2048, maxFields: 32 };
const AUTHORITY = "origin.example:8080";

/** What the careful reader makes of a request, in the terms of the quick one; undefined for one that it takes for more than plain. */
function readCarefully(bytes: Uint8Array) {
  const parsed = parseRequestHead(bytes, limits);
  const request = parsed.kind === "done" ? readForwardRequest(parsed.value) : undefined;
  if (parsed.kind !== "done" || request?.ok !== true) return undefined;
  const { method, target, version } = parsed.value;
  const { fields, path, scheme, framing, upgrade, takesTrailers, maxForwards, keepsClient } = request.value;
  if (method !== "GET" || version !== "1.1" || scheme !== "http" || framing.kind !== "none" || !keepsClient)
    return undefined;
  if (upgrade !== undefined || takesTrailers || maxForwards !== undefined || hasPassed(fields, "us")) return undefined;
  return {
    target,
    path,
    fields,
    credentials: getAll(parsed.value.fields, "proxy-authorization"),
    used: parsed.used,
  };
}

/** Holds a request against the careful reader; gives whether the quick one could read it. */
function compare(text: string): boolean {
  const bytes = Buffer.from(text, "latin1");
  const plain = readPlainRequest(bytes, limits);
  if (plain === undefined) return false;
  const { authorityEnd, pathEnd, credentialsFrom, credentialsTo, spans, used } = plain;
  let kept = "";
  for (let index = 0; index < spans.length; index += 2) kept += text.slice(spans[index], spans[index + 1]);
  const again = parseRequestHead(Buffer.from(`GET / HTTP/1.1\r\n${kept}\r\n`, "latin1"), limits);
  expect({
    target: `http://${text.slice(AUTHORITY_START, authorityEnd)}${text.slice(authorityEnd, pathEnd)}`,
    path: text.slice(authorityEnd, pathEnd),
    fields: again.kind === "done" ? again.value.fields : again,
    credentials: credentialsTo === 0 ? [] : [text.slice(credentialsFrom, credentialsTo)],
    used,
  }).toEqual(readCarefully(bytes) as never);
  return true;
}

const name = fc.constantFrom(
  "Host",
  "host",
  "Connection",
  "Keep-Alive",
  "Proxy",
  "Proxy-Authorization",
  "PROXY-AUTHORIZATION",
  "Proxy-Connection",
  "Authorization",
  "Content-Length",
  "Transfer-Encoding",
  "TE",
  "Upgrade",
  "Expect",
  "Via",
  "Max-Forwards",
  "Trailer",
  "Cookie",
  "X-Ten-Lettr",
);
const value = fc.constantFrom(
  "",
  AUTHORITY,
  `\t${AUTHORITY} `,
  AUTHORITY.toUpperCase(),
  "other.example",
  "0",
  "5",
  "chunked",
  "trailers",
  "close",
  "keep-alive",
  "Keep-Alive",
  "keep-alive, X-Ten-Lettr",
  "keep\ralive",
  "upgrade",
  "websocket",
  "1.1 us",
  "NTLM x",
  "Negotiate x",
  "Basic eDp5",
  "\xff",
);
const wild = fc
  .tuple(name, fc.constantFrom("", " ", "  "), value)
  .map(([key, blank, text]) => `${key}:${blank}${text}`);
const usual = fc.constantFrom(
  "User-Agent: test/1.0",
  "Accept:*/*",
  "Accept-Encoding: gzip, deflate ",
  "Connection: keep-alive",
  "Proxy-Connection: Keep-Alive",
  "Proxy-Authorization: Basic eDp5",
  "Authorization: Bearer x",
  "Cookie: a=b; c=\xe9",
);
const line = fc.oneof({ weight: 6, arbitrary: usual }, { weight: 1, arbitrary: wild });
const host = fc.constantFrom(...Array.from({ length: 8 }, () => `Host: ${AUTHORITY}`), "Host: b", "", "Host:");
const start = fc.constantFrom(
  ...["/", "/a/b?c=d", "/%41?http://b/", "/a[1]^|"].map((path) => `GET http://${AUTHORITY}${path} HTTP/1.1`),
  `GET http://${AUTHORITY} HTTP/1.1`,
  `GET http://${AUTHORITY}?q HTTP/1.1`,
  `GET http://${AUTHORITY}/a#b HTTP/1.1`,
  `GET http://${AUTHORITY}/a\\b HTTP/1.1`,
  `GET http://u@${AUTHORITY}/ HTTP/1.1`,
  `GET http:// HTTP/1.1`,
  `GET http:/// HTTP/1.1`,
  `GET https://${AUTHORITY}/ HTTP/1.1`,
  `GET HTTP://${AUTHORITY}/ HTTP/1.1`,
  `HEAD http://${AUTHORITY}/ HTTP/1.1`,
  `GET http://${AUTHORITY}/ HTTP/1.0`,
  `GET http://${AUTHORITY}/ HTTP/1.2`,
  `GET http://${AUTHORITY}/  HTTP/1.1`,
  "GET / HTTP/1.1",
);
const requests = fc
  .tuple(start, host, fc.array(line, { maxLength: 6 }), fc.string({ maxLength: 4 }))
  .map(
    ([first, named, lines, rest]) =>
      `${[first, ...(named === "" ? [] : [named]), ...lines].join("\r\n")}\r\n\r\n${rest}`,
  );

test("a plain request is read as the careful reader reads it, or left to that", () => {
  let plain = 0;
  fc.assert(
    fc.property(requests, (text) => {
      if (compare(text)) plain += 1;
    }),
    { numRuns: 6000 },
  );
  // The comparison is about something.
  expect(plain).toBeGreaterThan(200);
});

test("a plain request that is damaged anywhere is read as the careful reader reads it, or left to that", () => {
  const whole = `GET http://${AUTHORITY}/a HTTP/1.1\r\nHost: ${AUTHORITY}\r\nAccept: */*\r\nConnection: keep-alive\r\n\r\n`;
  const put = fc.constantFrom("", "\r", "\n", " ", "\t", "\0", ":", "#", "/", "-", "0", "x");
  expect(compare(whole)).toBe(true);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), put, (at, octet) => {
      compare(whole.slice(0, at) + octet + whole.slice(at + 1));
      compare(whole.slice(0, at) + octet + whole.slice(at));
      compare(whole.slice(0, at));
    }),
    { numRuns: 3000 },
  );
});

test("a plain request is read at once or not at all, whatever follows it", () => {
  fc.assert(
    fc.property(requests, (text) => {
      const bytes = Buffer.from(text, "latin1");
      const plain = readPlainRequest(bytes, limits);
      if (plain === undefined) return;
      for (let end = 0; end < plain.used; end++)
        expect(readPlainRequest(bytes.subarray(0, end), limits)).toBeUndefined();
      expect(readPlainRequest(bytes.subarray(0, plain.used), limits)).toEqual(plain);
      expect(readPlainRequest(bytes, { ...limits, maxBytes: plain.used - 1 })).toBeUndefined();
    }),
    { numRuns: 1000 },
  );
});

test.each(requestHeads.map(({ name: title, input }) => [title, input] as const))(
  "of all requests in the corpus, %s is read alike",
  (_title, input) => {
    compare(input);
  },
);
