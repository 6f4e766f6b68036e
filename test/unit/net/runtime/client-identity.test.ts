import { describe, expect, test } from "bun:test";
import { readClientIdentity } from "../../../../src/net/runtime/client-identity.ts";
import { makeNamedCertificate, type NamedCertificate, san } from "../../../support/make-names.ts";

const UTF8 = 0x0c;
const PRINTABLE = 0x13;
const TELETEX = 0x14;
const UNIVERSAL = 0x1c;
const BMP = 0x1e;

function read(names: NamedCertificate): string | undefined {
  return readClientIdentity(makeNamedCertificate(names));
}

/** Of alternative names, and of a common name that nobody is to fall back to. */
function readSan(...names: readonly (readonly [number, Uint8Array | string])[]): string | undefined {
  return read({ alternative: [names], common: [[UTF8, "root"]] });
}

describe("readClientIdentity()", () => {
  test("takes an e-mail address before a DNS name, and that before a URI", () => {
    const uri = [san.uri, "spiffe://corp/alice"] as const;
    const dns = [san.dns, "alice.corp"] as const;
    expect(readSan(uri, dns, [san.email, "alice@corp.example"], [san.email, "other@corp.example"])).toBe(
      "alice@corp.example",
    );
    expect(readSan(uri, dns)).toBe("alice.corp");
    expect(readSan([san.ip, Uint8Array.of(192, 0, 2, 1)], uri)).toBe("spiffe://corp/alice");
  });

  test("takes a name as a whole, whatever is in it that separates names elsewhere", () => {
    expect(readSan([san.uri, "spiffe://corp/build,agent-7"])).toBe("spiffe://corp/build,agent-7");
    expect(readSan([san.email, '"boss,x"@corp'], [san.email, "second@corp"])).toBe('"boss,x"@corp');
    expect(readSan([san.uri, 'http://a", email:root@corp'], [san.dns, "alice.corp"])).toBe("alice.corp");
    expect(read({ common: [[UTF8, "bob, DNS:root"]] })).toBe("bob, DNS:root");
  });

  test("takes the common name when there is no alternative name of these kinds", () => {
    for (const version of [true, false]) expect(read({ common: [[PRINTABLE, "alice"]], version })).toBe("alice");
    expect(read({ alternative: [], common: [[UTF8, "alice"]] })).toBe("alice");
    expect(readSan([san.ip, Uint8Array.of(192, 0, 2, 1)])).toBe("root");
    expect(readSan([san.other, "x"], [san.directory, "y"])).toBe("root");
  });

  test("reads common names of every kind of text", () => {
    const wide = Buffer.from("zwölf", "utf16le").swap16();
    expect(read({ common: [[UTF8, "zwölf"]] })).toBe("zwölf");
    expect(read({ common: [[BMP, wide]] })).toBe("zwölf");
    expect(read({ common: [[UNIVERSAL, Uint8Array.of(0, 0, 0, 0x61, 0, 1, 0xf4, 0xa9)]] })).toBe("a💩");
    expect(read({ common: [[TELETEX, "alice"]] })).toBe("alice");
  });

  test("names nobody when there is no name, an empty one, or several common names", () => {
    expect(read({})).toBeUndefined();
    expect(read({ common: [[UTF8, ""]] })).toBeUndefined();
    const twice = [
      [UTF8, "alice"],
      [UTF8, "root"],
    ] as const;
    expect(read({ common: twice })).toBeUndefined();
  });

  test.each([
    ["an empty name", ""],
    ["NUL", "alice@corp\0.evil"],
    ["an escape sequence", "alice\x1b[2J"],
    ["a line end", "alice\nbob"],
    ["bytes that are no ASCII", Uint8Array.of(0x61, 0xe4)],
    ["UTF-8", "zwölf@corp"],
    ["blanks around it", " alice@corp"],
    ["more than 255 bytes", "a".repeat(256)],
    ["90 kB", "a".repeat(90_000)],
  ])("names nobody by an alternative name with %s, and neither the next one nor the common name counts", (_, name) => {
    for (const kind of [san.email, san.dns, san.uri]) {
      expect(readSan([kind, name])).toBeUndefined();
      expect(readSan([kind, name], [san.email, "second@corp"])).toBeUndefined();
      expect(readSan([san.email, "first@corp"], [kind, name])).toBeUndefined();
    }
  });

  test.each([
    ["C1 controls", "a\u009b31m"],
    ["a bidirectional mark", "a\u202eb"],
    ["a separator of lines", "a\u2028b"],
    ["a zero-width joiner", "a\u200db"],
    ["a private character", "a\ue000b"],
    ["a blank at its end", "alice "],
    ["more than 255 bytes", "ö".repeat(128)],
  ])("names nobody by a common name with %s", (_, name) => {
    expect(read({ common: [[UTF8, name]] })).toBeUndefined();
  });

  test("names nobody by a common name that is no text of its kind", () => {
    expect(read({ common: [[UTF8, Uint8Array.of(0x61, 0xff)]] })).toBeUndefined();
    expect(read({ common: [[TELETEX, Uint8Array.of(0x61, 0xe4)]] })).toBeUndefined();
    expect(read({ common: [[BMP, Uint8Array.of(0x61)]] })).toBeUndefined();
    expect(read({ common: [[BMP, Uint8Array.of(0xd8, 0)]] })).toBeUndefined();
    expect(read({ common: [[UNIVERSAL, Uint8Array.of(0, 0x11, 0, 0)]] })).toBeUndefined();
    expect(read({ common: [[0x02, Uint8Array.of(1)]] })).toBeUndefined();
  });

  test("names nobody when there are two lists of alternative names", () => {
    const alternative = [[[san.email, "alice@corp"]], [[san.email, "root@corp"]]] as const;
    expect(read({ alternative, common: [[UTF8, "alice"]] })).toBeUndefined();
  });

  test("names nobody by what is no certificate, wherever it breaks off", () => {
    const whole = makeNamedCertificate({ alternative: [[[san.email, "alice@corp"]]], common: [[UTF8, "root"]] });
    expect(readClientIdentity(whole)).toBe("alice@corp");
    for (let length = 0; length < whole.length; length++)
      expect(readClientIdentity(whole.subarray(0, length))).toBeUndefined();
  });

  test("never takes another name, whichever byte is changed", () => {
    const names = { alternative: [[[san.email, "alice@corp"]]], common: [[UTF8, "root"]] } as const;
    const whole = makeNamedCertificate(names);
    const at = whole.indexOf("alice@corp");
    for (let index = 0; index < whole.length; index++)
      for (const bit of [1, 0x20, 0x80]) {
        const changed = Buffer.from(whole);
        changed[index] = (changed[index] ?? 0) ^ bit;
        const found = readClientIdentity(changed);
        const isName = index >= at && index < at + 10;
        // Another kind of name, or none of the kinds that count, is what the certificate then says.
        if (!isName && found !== undefined) expect(["alice@corp", "root"]).toContain(found);
      }
  });
});
