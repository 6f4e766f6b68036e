import { describe, expect, test } from "bun:test";
import type { SocketAddress } from "../../../../src/protocol/proxy-header/proxy-header-v1.ts";
import {
  computeCrc32c,
  encodeProxyHeaderV2,
  parseProxyHeaderV2,
  type ProxyTlv,
} from "../../../../src/protocol/proxy-header/proxy-header-v2.ts";
import { feedParser } from "../../../support/feed-parser.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";

const SIGNATURE = "0d0a0d0a000d0a515549540a";
const V4 = "c0000201 c6336402 1234 01bb";
const V4_TEXT = ["192.0.2.1 4660", "198.51.100.2 443"];

/** A header of hexadecimal payload, whose length is written for it. */
function build(versionAndCommand: string, family: string, payload = ""): Buffer {
  const body = Buffer.from(payload.replaceAll(" ", ""), "hex");
  const length = body.length.toString(16).padStart(4, "0");
  return Buffer.concat([Buffer.from(SIGNATURE + versionAndCommand + family + length, "hex"), body]);
}

/** Both ends, the types and values of the TLVs; or what else came of it. */
function read(bytes: Uint8Array) {
  const parsed = feedParser(parseProxyHeaderV2, bytes);
  if (parsed.kind !== "done") return parsed;
  expect(parsed.used).toBe(bytes.length);
  if (parsed.value.kind === "local") return "local";
  const { source, destination, tlvs } = parsed.value;
  const ends = [source, destination].map(({ ip, port }) => `${ip.text} ${port}`);
  return [...ends, ...tlvs.map(({ type, value }) => `${type}=${Buffer.from(value).toString()}`)];
}

function makeHeader(source: string, destination: string, tlvs: ProxyTlv[] = []) {
  const makeAddress = (text: string): SocketAddress => {
    const { host, port } = makeEndpoint(text);
    if (host.kind !== "ip") throw new Error(text);
    return { ip: host.ip, port };
  };
  return { kind: "proxy", source: makeAddress(source), destination: makeAddress(destination), tlvs } as const;
}

describe("parseProxyHeaderV2()", () => {
  test("reads TCP over IPv4", () => {
    expect(read(build("21", "11", V4))).toEqual(V4_TEXT);
  });

  test("reads TCP over IPv6, and takes a mapped address for IPv4", () => {
    const one = "20010db8000000000000000000000001";
    const mapped = "00000000000000000000ffff0a000001";
    expect(read(build("21", "21", `${one} ${mapped} 0000 ffff`))).toEqual(["2001:db8::1 0", "10.0.0.1 65535"]);
  });

  test("skips everything of a local header, whatever it is", () => {
    expect(read(build("20", "00"))).toBe("local");
    expect(read(build("20", "11", V4))).toBe("local");
    expect(read(build("20", "ff", "01 02 03"))).toBe("local");
  });

  test("takes connections without IP addresses for local ones", () => {
    expect(read(build("21", "00"))).toBe("local");
    expect(read(build("21", "00", "01 ffff"))).toBe("local");
    expect(read(build("21", "31", "00".repeat(216)))).toBe("local");
    expect(read(build("21", "31", `${"00".repeat(216)} 01 0002 6832`))).toBe("local");
  });

  test("gives the additional information, without checksum and padding", () => {
    expect(read(build("21", "11", `${V4} 01 0002 6832 04 0003 000000 ee 0000`))).toEqual([...V4_TEXT, "1=h2", "238="]);
  });

  test("refuses additional information that runs over the end", () => {
    expect(read(build("21", "11", `${V4} 01`))).toEqual({ kind: "bad", code: "bad_tlv", at: 28 });
    expect(read(build("21", "11", `${V4} 01 00`))).toEqual({ kind: "bad", code: "bad_tlv", at: 28 });
    expect(read(build("21", "11", `${V4} 04 0000 01 0003 6832`))).toEqual({ kind: "bad", code: "bad_tlv", at: 31 });
    expect(read(build("21", "31", `${"00".repeat(216)} 01`))).toEqual({ kind: "bad", code: "bad_tlv", at: 232 });
  });

  test("verifies a checksum wherever it stands", () => {
    const good = Buffer.from(encodeProxyHeaderV2(makeHeader("192.0.2.1:4660", "198.51.100.2:443")));
    expect(read(good)).toEqual(V4_TEXT);
    // Every byte of the addresses and of the checksum itself.
    for (const at of [16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 31, 32, 33, 34]) {
      const damaged = Buffer.from(good);
      damaged[at] = (damaged[at] ?? 0) ^ 1;
      expect(read(damaged)).toEqual({ kind: "bad", code: "bad_checksum", at: 31 });
    }
    expect(read(build("21", "11", `${V4} 03 0004 00000000`))).toEqual({ kind: "bad", code: "bad_checksum", at: 31 });
  });

  test("refuses a checksum of another length, and a second one", () => {
    expect(read(build("21", "11", `${V4} 03 0003 000000`))).toEqual({ kind: "bad", code: "bad_tlv", at: 28 });
    const twice = `${V4} 03 0004 00000000 03 0004 00000000`;
    expect(read(build("21", "11", twice))).toEqual({ kind: "bad", code: "bad_tlv", at: 35 });
  });

  test("reads 4,096 bytes after the head and refuses more at their announcement", () => {
    const fitting = build("21", "11", `${V4} ee 0ff1 ${"61".repeat(4081)}`);
    expect(parseProxyHeaderV2(fitting)).toMatchObject({ kind: "done", used: 4112 });
    expect(read(Buffer.from(`${SIGNATURE}21111001`, "hex"))).toEqual({ kind: "bad", code: "too_long", at: 14 });
    expect(read(Buffer.from(`${SIGNATURE}2011ffff`, "hex"))).toEqual({ kind: "bad", code: "too_long", at: 14 });
  });

  test("refuses another signature at its first wrong byte", () => {
    expect(read(Buffer.from("GET"))).toEqual({ kind: "bad", code: "bad_signature", at: 0 });
    expect(read(Buffer.from("\r\n\r\nGET"))).toEqual({ kind: "bad", code: "bad_signature", at: 4 });
  });

  test("refuses other versions, commands and families", () => {
    expect(read(build("11", "11", V4))).toEqual({ kind: "bad", code: "bad_version", at: 12 });
    expect(read(build("31", "11", V4))).toEqual({ kind: "bad", code: "bad_version", at: 12 });
    expect(read(build("22", "11", V4))).toEqual({ kind: "bad", code: "bad_command", at: 12 });
    for (const family of ["10", "12", "22", "32", "41", "13", "01"]) {
      expect(read(build("21", family, V4))).toEqual({ kind: "bad", code: "bad_family", at: 13 });
    }
  });

  test("refuses a length that the addresses do not fit into", () => {
    expect(read(build("21", "11", V4.slice(0, -2)))).toEqual({ kind: "bad", code: "bad_length", at: 14 });
    expect(read(build("21", "21", V4))).toEqual({ kind: "bad", code: "bad_length", at: 14 });
    expect(read(build("21", "31", V4))).toEqual({ kind: "bad", code: "bad_length", at: 14 });
  });

  test("keeps nothing of the caller's buffer", () => {
    const bytes = build("21", "11", `${V4} 01 0002 6832`);
    const parsed = parseProxyHeaderV2(bytes);
    bytes.fill(0);
    expect(parsed).toMatchObject({
      value: {
        source: { ip: { bytes: Uint8Array.of(192, 0, 2, 1) } },
        destination: { ip: { bytes: Uint8Array.of(198, 51, 100, 2) } },
        tlvs: [{ type: 1, value: Uint8Array.of(0x68, 0x32) }],
      },
    });
  });

  test("asks for more until the last byte", () => {
    expect(read(Buffer.from(SIGNATURE, "hex"))).toEqual({ kind: "more" });
    expect(read(build("21", "11", V4).subarray(0, -1))).toEqual({ kind: "more" });
  });
});

describe("encodeProxyHeaderV2()", () => {
  test("writes addresses, information and a checksum", () => {
    const header = makeHeader("192.0.2.1:4660", "198.51.100.2:443", [{ type: 1, value: Buffer.from("h2") }]);
    const bytes = Buffer.from(encodeProxyHeaderV2(header)).toString("hex");
    expect(bytes.slice(0, -8)).toBe(`${SIGNATURE}21110018${V4.replaceAll(" ", "")}0100026832030004`);
    expect(read(encodeProxyHeaderV2(header))).toEqual([...V4_TEXT, "1=h2"]);
  });

  test("maps the IPv4 address of a mixed pair", () => {
    expect(read(encodeProxyHeaderV2(makeHeader("192.0.2.1:1", "[::1]:2")))).toEqual(["192.0.2.1 1", "::1 2"]);
  });

  test("writes a local header of sixteen bytes", () => {
    expect(Buffer.from(encodeProxyHeaderV2({ kind: "local" })).toString("hex")).toBe(`${SIGNATURE}20000000`);
  });

  test("throws when the information does not fit", () => {
    const tlv = { type: 0xee, value: new Uint8Array(4096) };
    expect(() => encodeProxyHeaderV2(makeHeader("192.0.2.1:1", "192.0.2.2:2", [tlv]))).toThrow("at most 4096");
  });
});

test("computeCrc32c() gives the check values of RFC 3720 appendix B.4", () => {
  // The RFC lists the bytes as they are sent; as numbers they read in reverse.
  expect(computeCrc32c(new Uint8Array(32))).toBe(0x8a9136aa);
  expect(computeCrc32c(new Uint8Array(32).fill(0xff))).toBe(0x62a8ab43);
  expect(computeCrc32c(Uint8Array.from({ length: 32 }, (_, index) => index))).toBe(0x46dd794e);
  expect(computeCrc32c(Uint8Array.from({ length: 32 }, (_, index) => 31 - index))).toBe(0x113fdb5c);
  expect(computeCrc32c(Buffer.from("123456789"))).toBe(0xe3069283);
  expect(computeCrc32c(new Uint8Array(0))).toBe(0);
});
