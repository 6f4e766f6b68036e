import { describe, expect, test } from "bun:test";
import { formatBasicCredentials, parseBasicCredentials } from "../../../../src/protocol/http1/basic-credentials.ts";
import { Secret } from "../../../../src/secret.ts";

/** User and password, or the code. */
function parse(value: string): [string, string] | string {
  const result = parseBasicCredentials(value);
  return result.ok ? [result.credentials.user, result.credentials.password.reveal()] : result.code;
}

function parseText(text: string | Uint8Array): [string, string] | string {
  return parse(`Basic ${Buffer.from(text).toString("base64")}`);
}

describe("parseBasicCredentials()", () => {
  test("reads the examples of RFC 7617", () => {
    expect(parse("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==")).toEqual(["Aladdin", "open sesame"]);
    expect(parse("Basic dGVzdDoxMjPCow==")).toEqual(["test", "123£"]);
  });

  test("takes the scheme in any case and any number of spaces after it", () => {
    expect(parse("bAsIc   dGVzdDoxMjPCow==")).toEqual(["test", "123£"]);
  });

  test("parts at the first colon", () => {
    expect(parseText("a:b:c")).toEqual(["a", "b:c"]);
    expect(parseText("a::")).toEqual(["a", ":"]);
    expect(parseText("a:")).toEqual(["a", ""]);
  });

  test("leaves other schemes to others", () => {
    for (const value of ["", "Bearer abc", "Basic2 abc", "Basi", "Basic\tabc"])
      expect(parse(value)).toBe("other_scheme");
  });

  test("takes base64 in its canonical form only", () => {
    for (const encoded of [
      "",
      "YTpi YTpi",
      "YTpi=",
      "YTo",
      "YTo=\t",
      "YTp=",
      "YT-_",
      "YT!i",
      "Y",
      "YTo==",
      "YTpi, x",
      "YTpj\n",
    ])
      expect(parse(`Basic ${encoded}`)).toBe("bad_base64");
    // Beside "YTp=" above, which has stray bits before its padding.
    expect(parse("Basic YTo=")).toEqual(["a", ""]);
  });

  test("reads what is not UTF-8 as ISO-8859-1, all of it", () => {
    expect(parseText(Uint8Array.of(0x61, 0x3a, 0xfc))).toEqual(["a", "ü"]);
    expect(parseText(Uint8Array.of(0xfc, 0x3a, 0xa3, 0xff))).toEqual(["ü", "£ÿ"]);
    expect(parseText(Uint8Array.of(0xc3, 0xbc, 0x3a, 0xfc))).toEqual(["Ã¼", "ü"]);
  });

  test("refuses the control characters of ISO-8859-1", () => {
    expect(parseText(Uint8Array.of(0x61, 0x3a, 0xc0, 0x80))).toBe("control_character");
    expect(parseText(Uint8Array.of(0x61, 0x3a, 0x85))).toBe("control_character");
  });

  test("keeps a byte order mark: it is part of the name", () => {
    expect(parseText("\ufeffa:b")).toEqual(["\ufeffa", "b"]);
  });

  test("refuses control characters in either part", () => {
    for (const text of ["a\0:b", "a:b\n", "a:\x7f", "a\x85:b", "\t:b"])
      expect(parseText(text)).toBe("control_character");
  });

  test("refuses a missing colon and an empty user", () => {
    expect(parseText("alice")).toBe("no_colon");
    expect(parseText(":pw")).toBe("empty_user");
  });

  test("looks at 8,192 characters of base64 and no more", () => {
    expect(parseText(`a:${"p".repeat(6142)}`)).toEqual(["a", "p".repeat(6142)]);
    expect(parseText(`a:${"p".repeat(6143)}`)).toBe("too_long");
  });
});

describe("formatBasicCredentials()", () => {
  test("gives what parseBasicCredentials() reads", () => {
    const value = formatBasicCredentials("test", new Secret("123£"));
    expect(value).toBe("Basic dGVzdDoxMjPCow==");
  });

  test("has no form for a colon in the user or for control characters", () => {
    expect(formatBasicCredentials("a:b", new Secret("c"))).toBeUndefined();
    expect(formatBasicCredentials("a", new Secret("c\r\nd"))).toBeUndefined();
    expect(formatBasicCredentials("a\0", new Secret("c"))).toBeUndefined();
  });
});
