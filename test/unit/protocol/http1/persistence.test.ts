import { describe, expect, test } from "bun:test";
import { frameResponse } from "../../../../src/protocol/http1/message-framing.ts";
import { allowsNextRequest, allowsNextResponse } from "../../../../src/protocol/http1/persistence.ts";
import { encodeFields, type Field, NO_FIELDS } from "../../../../src/protocol/http1/fields.ts";

const close = { name: "Connection", value: "close" };
const keepAlive = { name: "Connection", value: "Keep-Alive" };
const length = { name: "Content-Length", value: "5" };

describe("allowsNextRequest()", () => {
  test("says yes to HTTP/1.1 unless the client closes", () => {
    expect(allowsNextRequest({ version: "1.1", fields: NO_FIELDS })).toBe(true);
    expect(allowsNextRequest({ version: "1.1", fields: encodeFields([keepAlive]) })).toBe(true);
    expect(allowsNextRequest({ version: "1.1", fields: encodeFields([close]) })).toBe(false);
    expect(
      allowsNextRequest({
        version: "1.1",
        fields: encodeFields([keepAlive, { name: "CONNECTION", value: "x, CLOSE" }]),
      }),
    ).toBe(false);
  });

  test("says no to HTTP/1.0, even if it asks", () => {
    expect(allowsNextRequest({ version: "1.0", fields: NO_FIELDS })).toBe(false);
    expect(allowsNextRequest({ version: "1.0", fields: encodeFields([keepAlive]) })).toBe(false);
  });
});

function allows(status: number, lines: readonly Field[], version: "1.0" | "1.1" = "1.1", method = "GET"): boolean {
  const head = { status, version, fields: encodeFields(lines) };
  return allowsNextResponse(head, frameResponse(head, method));
}

describe("allowsNextResponse()", () => {
  test("says yes to a body with an end of its own", () => {
    expect(allows(200, [length])).toBe(true);
    expect(allows(200, [length, length])).toBe(true);
    expect(allows(200, [{ name: "Transfer-Encoding", value: "chunked" }])).toBe(true);
    expect(allows(200, [], "1.1", "HEAD")).toBe(true);
    expect(allows(304, [length])).toBe(true);
  });

  test("says no to a body that ends with the connection, a tunnel and wrong framing", () => {
    expect(allows(200, [])).toBe(false);
    expect(allows(101, [])).toBe(false);
    expect(allows(200, [], "1.1", "CONNECT")).toBe(false);
    expect(allows(200, [length, { name: "Content-Length", value: "6" }])).toBe(false);
  });

  test("says no when the origin closes", () => {
    expect(allows(200, [length, close])).toBe(false);
    expect(allows(200, [length, keepAlive, close])).toBe(false);
  });

  test("says yes to HTTP/1.0 only if the origin says so", () => {
    expect(allows(200, [length], "1.0")).toBe(false);
    expect(allows(200, [length, keepAlive], "1.0")).toBe(true);
    expect(allows(200, [length, keepAlive, close], "1.0")).toBe(false);
  });

  test("says no to a response that claims a body where there is none", () => {
    expect(allows(204, [])).toBe(true);
    expect(allows(204, [{ name: "Content-Length", value: "0" }])).toBe(true);
    expect(allows(204, [length])).toBe(false);
    expect(allows(204, [{ name: "Transfer-Encoding", value: "chunked" }])).toBe(false);
    expect(allows(103, [length])).toBe(false);
    expect(allows(103, [])).toBe(true);
  });
});
