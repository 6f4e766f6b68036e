import { expect, test } from "bun:test";
import { encodeFields } from "../../../../src/protocol/http1/fields.ts";
import { checkHostField } from "../../../../src/protocol/http1/host-field.ts";

/** What is said to Host fields with these values, in a request of a method and version. */
function check(values: readonly string[], method = "GET", version: "1.0" | "1.1" = "1.1"): string | undefined {
  const fields = encodeFields(values.map((value) => ({ name: "hOsT", value })));
  return checkHostField({ method, target: "", version, fields });
}

test("checkHostField() lets pass one field of harmless characters, whatever it names", () => {
  for (const value of [
    "",
    "a.example",
    "a.example:80",
    "a_b-.example.",
    "[2001:db8::1]:80",
    "2001:db8::1",
    "2001:db8::1:8080",
    "fe80::1%25eth0",
    "a.example:",
    "127.0.0.1:99999",
    "~",
    "b\xc3\xbccher.example",
    "*.example",
    "a!$&'()*+=.example",
  ])
    expect([value, check([value])]).toEqual([value, undefined]);
});

test("checkHostField() refuses what two readers may part at different places", () => {
  for (const value of [
    "a b",
    "a,b",
    "a.example/",
    "u@a",
    "a?b",
    "a#b",
    "a\\b",
    "a\tb",
    "a\x7f",
    '"a"',
    "a;b",
    "<a>",
    "a|b",
  ])
    expect([value, check([value])]).toEqual([value, "bad_host"]);
});

test("checkHostField() misses it in HTTP/1.1 alone, and not for CONNECT", () => {
  expect(check([])).toBe("missing_host");
  expect(check([], "GET", "1.0")).toBeUndefined();
  expect(check([], "CONNECT")).toBeUndefined();
});

test("checkHostField() refuses two lines in any version and method, even if they agree", () => {
  for (const version of ["1.0", "1.1"] as const)
    for (const method of ["GET", "CONNECT"]) expect(check(["a", "a"], method, version)).toBe("repeated_host");
});
