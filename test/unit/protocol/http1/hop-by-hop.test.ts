import { describe, expect, test } from "bun:test";
import { encodeFields, type Field } from "../../../../src/protocol/http1/fields.ts";
import { stripHopByHop, stripTrailers } from "../../../../src/protocol/http1/hop-by-hop.ts";

function toFields(...names: string[]): Field[] {
  return names.map((name) => ({ name, value: "x" }));
}

/** The names that remain when Connection nominates `options` among fields of these names. */
function strip(options: string, ...names: string[]): string[] | string {
  const lines = stripLines([{ name: "Connection", value: options }, ...toFields(...names)]);
  return typeof lines === "string" ? lines : lines.map(({ name }) => name);
}

function stripLines(lines: readonly Field[]): readonly Field[] | string {
  const result = stripHopByHop(encodeFields(lines));
  return result.kind === "bad" ? result.code : [...result.fields];
}

describe("stripHopByHop()", () => {
  test("keeps a message without hop-by-hop fields as it is", () => {
    const fields = toFields("Host", "Accept", "Content-Length", "X-A", "X-A", "Trailer", "Proxy-Status");
    expect(stripLines(fields)).toEqual(fields);
  });

  test("removes the fields that are always for one hop, in any case and number", () => {
    const names = [
      "Keep-Alive",
      "Proxy-Connection",
      "proxy-authorization",
      "PROXY-AUTHENTICATE",
      "Proxy-Authentication-Info",
      "TE",
      "Te",
      "Transfer-Encoding",
      "Upgrade",
      "HTTP2-Settings",
      "Proxy",
    ];
    expect(strip("keep-alive", "Host", ...names, "Accept")).toEqual(["Host", "Accept"]);
  });

  test("removes what Connection nominates, over all its lines", () => {
    const fields = [
      { name: "Connection", value: "close, X-One" },
      ...toFields("x-one", "X-Two", "X-Three", "X-ONE"),
      { name: "connection", value: ", x-two ," },
    ];
    expect(stripLines(fields)).toEqual(toFields("X-Three"));
  });

  test("does not let Connection take away what is for all recipients", () => {
    const names = ["Cache-Control", "Authorization", "Cookie", "X-Forwarded-For", "Expect", "Max-Forwards", "Date"];
    for (const name of names) expect(strip(`close, ${name}`, name)).toEqual([name]);
  });

  test("refuses a Connection that nominates the length or the host of the message", () => {
    for (const name of ["Host", "Content-Length", "HOST", "content-length"])
      expect(strip(`close, ${name}`, "Host")).toBe("connection_names_framing");
  });

  test("takes a Connection that nominates other framing fields for nothing bad, and leaves what goes on", () => {
    for (const name of ["content-type", "Content-Encoding", "TRAILER", "Via"])
      expect(strip(`close, ${name}`, "Host", name)).toEqual(["Host", name]);
    expect(strip("Transfer-Encoding, te, close", "Host", "TE", "Transfer-Encoding")).toEqual(["Host"]);
  });

  test("leaves out what is no token in Connection", () => {
    for (const value of ["a b", "a;b", "x=y", "keep-alive; timeout=5"])
      expect(strip(value, "A", "X")).toEqual(["A", "X"]);
    expect(strip("a b, X", "A", "X")).toEqual(["A"]);
  });

  test("refuses a Connection that has no end or too many elements", () => {
    for (const value of ['"', 'a, "b', "a,".repeat(257)]) expect(strip(value)).toBe("bad_connection");
  });

  test("takes an empty Connection for no nomination", () => {
    expect(strip("", "Accept")).toEqual(["Accept"]);
  });
});

describe("stripTrailers()", () => {
  test("keeps what may stand in a trailer section", () => {
    const fields = toFields("ETag", "Digest", "Server-Timing", "x-checksum");
    expect([...stripTrailers(encodeFields(fields))]).toEqual(fields);
  });

  test("drops what frames, routes, authenticates, modifies or controls", () => {
    const names = [
      "Content-Length",
      "Transfer-Encoding",
      "Host",
      "Connection",
      "Authorization",
      "Cookie",
      "Set-Cookie",
    ];
    const more = [
      "Trailer",
      "Cache-Control",
      "Range",
      "If-Match",
      "Content-Type",
      "Location",
      "Vary",
      "Proxy-Authorization",
    ];
    expect([...stripTrailers(encodeFields(toFields(...names, ...more)))]).toEqual([]);
  });
});
