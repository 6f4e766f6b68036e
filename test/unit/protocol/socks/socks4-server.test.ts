import { describe, expect, test } from "bun:test";
import { formatEndpoint } from "../../../../src/address/endpoint.ts";
import { encodeSocks4Reply, parseSocks4Request } from "../../../../src/protocol/socks/socks4-server.ts";
import { feedParser } from "../../../support/feed-parser.ts";

/** Command, target or its code, user id, bytes used; or what else came of it. */
function read(...parts: (number | string)[]) {
  const bytes = Buffer.concat(
    parts.map((part) => (typeof part === "string" ? Buffer.from(part, "latin1") : Buffer.of(part))),
  );
  const parsed = feedParser(parseSocks4Request, bytes);
  if (parsed.kind !== "done") return parsed;
  const { command, target, userId } = parsed.value;
  return [command, target.ok ? formatEndpoint(target.endpoint) : target.code, userId, parsed.used];
}

describe("parseSocks4Request()", () => {
  test("reads an address and a user id", () => {
    expect(read(4, 1, 1, 187, 192, 0, 2, 1, "me\0")).toEqual(["connect", "192.0.2.1:443", "me", 11]);
    expect(read(4, 1, 0, 80, 192, 0, 2, 1, 0)).toEqual(["connect", "192.0.2.1:80", "", 9]);
  });

  test("reads a name after an address of 0.0.0.x", () => {
    expect(read(4, 1, 0, 80, 0, 0, 0, 1, "me\0Example.org\0")).toEqual(["connect", "example.org:80", "me", 23]);
    expect(read(4, 1, 0, 80, 0, 0, 0, 255, "\0a.test\0")).toEqual(["connect", "a.test:80", "", 16]);
  });

  test("takes 0.0.0.0 for the address that it is", () => {
    expect(read(4, 1, 0, 80, 0, 0, 0, 0, 0)).toEqual(["connect", "0.0.0.0:80", "", 9]);
  });

  test("names every command", () => {
    expect(read(4, 2, 0, 80, 192, 0, 2, 1, 0)).toEqual(["bind", "192.0.2.1:80", "", 9]);
    expect(read(4, 3, 0, 80, 192, 0, 2, 1, 0)).toEqual(["unknown", "192.0.2.1:80", "", 9]);
  });

  test("tells of a target that is no endpoint, with the request used up", () => {
    expect(read(4, 1, 0, 0, 192, 0, 2, 1, 0)).toEqual(["connect", "port_invalid", "", 9]);
    expect(read(4, 1, 0, 80, 0, 0, 0, 1, 0, "127.1\0")).toEqual(["connect", "ambiguous_ipv4", "", 15]);
    expect(read(4, 1, 0, 80, 0, 0, 0, 1, "\0\0")).toEqual(["connect", "empty", "", 10]);
  });

  test("asks for more until the last NUL", () => {
    expect(read(4)).toEqual({ kind: "more" });
    expect(read(4, 1, 0, 80, 192, 0, 2, 1)).toEqual({ kind: "more" });
    expect(read(4, 1, 0, 80, 192, 0, 2, 1, "me")).toEqual({ kind: "more" });
    expect(read(4, 1, 0, 80, 0, 0, 0, 1, "me\0")).toEqual({ kind: "more" });
    expect(read(4, 1, 0, 80, 0, 0, 0, 1, "me\0a.test")).toEqual({ kind: "more" });
  });

  test("takes texts of 255 bytes and refuses 256 without waiting for their end", () => {
    const long = "u".repeat(255);
    expect(read(4, 1, 0, 80, 192, 0, 2, 1, long, 0)).toEqual(["connect", "192.0.2.1:80", long, 264]);
    expect(read(4, 1, 0, 80, 192, 0, 2, 1, long)).toEqual({ kind: "more" });
    expect(read(4, 1, 0, 80, 192, 0, 2, 1, long, "u")).toEqual({ kind: "bad", code: "user_id_too_long", at: 263 });
    expect(read(4, 1, 0, 80, 0, 0, 0, 1, 0, long, 0)).toEqual(["connect", "name_too_long", "", 265]);
    expect(read(4, 1, 0, 80, 0, 0, 0, 1, 0, long, "u")).toEqual({ kind: "bad", code: "name_too_long", at: 264 });
  });

  test("refuses another version at its first byte", () => {
    expect(read(5)).toEqual({ kind: "bad", code: "bad_version", at: 0 });
  });
});

test("encodeSocks4Reply() gives eight bytes with the code", () => {
  expect([...encodeSocks4Reply("granted")]).toEqual([0, 90, 0, 0, 0, 0, 0, 0]);
  expect([...encodeSocks4Reply("rejected")]).toEqual([0, 91, 0, 0, 0, 0, 0, 0]);
});
