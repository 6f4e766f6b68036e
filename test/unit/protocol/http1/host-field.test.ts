import { expect, test } from "bun:test";
import { findHostField } from "../../../../src/protocol/http1/host-field.ts";

const host = { name: "hOsT", value: "a.example:80" };

test("findHostField() gives the raw value, even an empty one", () => {
  expect(findHostField({ version: "1.1", fields: [host] })).toEqual({ kind: "one", value: "a.example:80" });
  expect(findHostField({ version: "1.1", fields: [{ name: "Host", value: "" }] })).toEqual({ kind: "one", value: "" });
});

test("findHostField() misses it in HTTP/1.1 and not in HTTP/1.0", () => {
  expect(findHostField({ version: "1.1", fields: [] })).toEqual({ kind: "bad", code: "missing_host" });
  expect(findHostField({ version: "1.0", fields: [] })).toEqual({ kind: "none" });
});

test("findHostField() refuses two lines in any version, even if they agree", () => {
  for (const version of ["1.0", "1.1"] as const) {
    expect(findHostField({ version, fields: [host, host] })).toEqual({ kind: "bad", code: "repeated_host" });
  }
});
