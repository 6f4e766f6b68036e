import { describe, expect, test } from "bun:test";
import { readableOutcome } from "../../../fixtures/http1/readable.ts";
import { createRequestHeadParser } from "../../../../src/protocol/http1/request-head.ts";
import { parseRequestHead } from "../../../support/parse-head.ts";

const limits = { maxBytes: 16_384, maxFields: 100 };
const head = "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n";

describe("parseRequestHead()", () => {
  test("asks for more until the blank line", () => {
    const bytes = Buffer.from(head);
    for (let length = 0; length < bytes.length; length++) {
      expect(parseRequestHead(bytes.subarray(0, length), limits)).toEqual({ kind: "more" });
    }
    expect(parseRequestHead(bytes, limits).kind).toBe("done");
  });

  test("leaves the bytes after the head to the caller", () => {
    const outcome = parseRequestHead(Buffer.from(`${head}early data`), limits);
    expect(outcome).toMatchObject({ kind: "done", used: head.length });
  });

  test("reads a view into a larger buffer from its own beginning", () => {
    const backing = new TextEncoder().encode(`noise${head}noise`);
    const outcome = parseRequestHead(backing.subarray(5, 5 + head.length), limits);
    expect(readableOutcome(outcome)).toEqual({
      kind: "done",
      used: head.length,
      value: {
        method: "CONNECT",
        target: "a.example:443",
        version: "1.1",
        fields: [{ name: "Host", value: "a.example:443" }],
      },
    });
  });

  test("refuses the first octet of a TLS ClientHello before anything else arrives", () => {
    expect(parseRequestHead(Uint8Array.of(0x16), limits)).toEqual({ kind: "bad", code: "bad_method", at: 0 });
  });

  test("counts the empty line before the request line against the limit", () => {
    const bytes = Buffer.from(`\r\n${head}`);
    expect(parseRequestHead(bytes, { ...limits, maxBytes: bytes.length }).kind).toBe("done");
    expect(parseRequestHead(bytes, { ...limits, maxBytes: bytes.length - 1 })).toMatchObject({
      code: "head_too_large",
    });
  });

  test("finds a head too large as soon as the limit is reached, whatever follows", () => {
    const bytes = Buffer.from(head);
    const maxBytes = 40;
    expect(parseRequestHead(bytes.subarray(0, maxBytes - 1), { ...limits, maxBytes })).toEqual({ kind: "more" });
    const refused = { kind: "bad", code: "head_too_large", at: maxBytes } as const;
    expect(parseRequestHead(bytes.subarray(0, maxBytes), { ...limits, maxBytes })).toEqual(refused);
    expect(parseRequestHead(bytes, { ...limits, maxBytes })).toEqual(refused);
  });

  test("allows no field where none is allowed", () => {
    const bytes = Buffer.from("GET / HTTP/1.1\r\nA: b\r\n\r\n");
    expect(parseRequestHead(bytes, { ...limits, maxFields: 0 })).toMatchObject({ code: "too_many_fields", at: 16 });
    expect(parseRequestHead(Buffer.from("GET / HTTP/1.1\r\n\r\n"), { ...limits, maxFields: 0 }).kind).toBe("done");
  });
});

describe("createRequestHeadParser()", () => {
  test("looks at no octet twice", () => {
    let reads = 0;
    const bytes = new Proxy(Buffer.from(`GET /${"a".repeat(500)} HTTP/1.1\r\nA: ${"b".repeat(500)}\r\n\r\n`), {
      get(target, key) {
        if (typeof key === "string" && /^\d+$/.test(key)) reads++;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
    const parser = createRequestHeadParser(limits);
    for (let length = 1; length < bytes.length; length++) {
      const prefix = new Proxy(bytes, {
        get: (target, key) => (key === "length" ? length : (Reflect.get(target, key) as unknown)),
      });
      expect(parser.parse(prefix).kind).toBe("more");
    }
    // Each loop looks once at the octet that it begins with and once more at it by its class.
    expect(reads).toBeGreaterThanOrEqual(bytes.length - 1);
    expect(reads).toBeLessThan(4 * bytes.length);
  });

  test("goes on in a buffer that has moved", () => {
    const parser = createRequestHeadParser(limits);
    const bytes = new TextEncoder().encode(head);
    expect(parser.parse(bytes.slice(0, 20)).kind).toBe("more");
    expect(parser.parse(bytes.slice(0, 40)).kind).toBe("more");
    expect(parser.parse(bytes.slice())).toEqual(parseRequestHead(bytes, limits));
  });
});
