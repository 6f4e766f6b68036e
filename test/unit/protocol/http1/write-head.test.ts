import { describe, expect, test } from "bun:test";
import { formatFields, writeRequestHead, writeResponseHead } from "../../../../src/protocol/http1/write-head.ts";

function toText(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

describe("writeRequestHead()", () => {
  test("writes the request line, the fields as spelled, and the empty line", () => {
    const fields = [
      { name: "hOST", value: "a.example" },
      { name: "Empty", value: "" },
      { name: "Text", value: "a\t\xff" },
    ];
    const text = toText(writeRequestHead({ method: "GET", target: "/b?c", fields }));
    expect(text).toBe("GET /b?c HTTP/1.1\r\nhOST: a.example\r\nEmpty: \r\nText: a\t\xff\r\n\r\n");
  });

  test("throws for a method or a target that could not be read back", () => {
    for (const method of ["", "GET ", "G\r\nT", "GÉT"]) {
      expect(() => writeRequestHead({ method, target: "/", fields: [] })).toThrow("is not a token");
    }
    for (const target of ["", "/ a", "/\r\n", "/\n", "/\u20ac", "/\0", "/\t", "/\x7f"]) {
      expect(() => writeRequestHead({ method: "GET", target, fields: [] })).toThrow(
        "has a space or a control character",
      );
    }
  });
});

describe("writeResponseHead()", () => {
  test("writes the status line, the fields and the empty line", () => {
    const fields = [{ name: "A", value: "b" }];
    expect(toText(writeResponseHead({ status: 404, reason: "Not Found", fields }))).toBe(
      "HTTP/1.1 404 Not Found\r\nA: b\r\n\r\n",
    );
    expect(toText(writeResponseHead({ status: 200, reason: "", fields: [] }))).toBe("HTTP/1.1 200 \r\n\r\n");
  });

  test("throws for a status or a reason that could not be read back", () => {
    for (const status of [0, 99, 1000, 200.5, -200, Number.NaN]) {
      expect(() => writeResponseHead({ status, reason: "", fields: [] })).toThrow("is not between 100 and 999");
    }
    for (const reason of ["a\r\nb", "a\n", "\0", "\x7f", "€"]) {
      expect(() => writeResponseHead({ status: 200, reason, fields: [] })).toThrow("has a control character");
    }
  });
});

describe("formatFields()", () => {
  test("throws for a name that is not a token", () => {
    for (const name of ["", "a b", "a:", "a\r\n", "é"])
      expect(() => formatFields([{ name, value: "" }])).toThrow("is not a token");
  });

  test("throws for a value that would inject, and does not repeat it", () => {
    for (const value of ["secret\r\nA: b", "secret\n", "secret\r", "secret\0", "secret€"]) {
      expect(() => formatFields([{ name: "A", value }])).toThrow(
        'Cannot write field "A": its value has a control character.',
      );
    }
  });
});
