import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import ipaddr from "ipaddr.js";
import { isIP } from "node:net";
import { domainToASCII, domainToUnicode } from "node:url";
import { containsIp, parseCidr } from "../../src/address/cidr.ts";
import { formatEndpoint, formatHost, parseAuthority, parseHostField } from "../../src/address/endpoint.ts";
import { parseHost, toAsciiHost } from "../../src/address/host.ts";
import { type Ip, ipFromBytes, parseIp } from "../../src/address/ip.ts";
import { isPublic } from "../../src/proxy/policy/address-class.ts";

/** Addresses of both families, with many zeros and many special prefixes among them. */
const address = fc
  .oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
    fc
      .array(fc.constantFrom(0, 0, 0, 1, 0x20, 0x5e, 0xfe, 0xff), { minLength: 16, maxLength: 16 })
      .map((bytes) => Uint8Array.from(bytes)),
  )
  .map(ipFromBytes);
const port = fc.integer({ min: 1, max: 65535 });
/** Text that is nearly a host: from its characters, or from whole pieces of it. */
const nearlyHost = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: fc.constantFrom(..."0123456789abcdefxX.:[]%-@ \0"), maxLength: 40 }),
  fc
    .array(
      fc.constantFrom(
        "::",
        ":",
        ".",
        "[",
        "]",
        "127.0.0.1",
        "0x7f",
        "ffff",
        "0",
        "1",
        "xn--",
        "a",
        "-",
        "%",
        "@",
        ":80",
      ),
      { maxLength: 12 },
    )
    .map((parts) => parts.join("")),
);
const label = fc.stringMatching(/^[a-zA-Z0-9_]([a-zA-Z0-9_-]{0,20}[a-zA-Z0-9_])?$/);

function bits(ip: Ip): string {
  return Array.from(ip.bytes, (byte) => byte.toString(2).padStart(8, "0")).join("");
}

describe("addresses", () => {
  test("what is formatted reads back as the same address", () => {
    fc.assert(
      fc.property(address, (ip) => {
        expect(parseIp(ip.text)).toEqual(ip);
        expect(ipFromBytes(ip.bytes)).toEqual(ip);
      }),
    );
  });

  test("every spelling of an IPv6 address gives the same address", () => {
    fc.assert(
      fc.property(address, fc.boolean(), fc.boolean(), (ip, upper, padded) => {
        fc.pre(ip.family === 6);
        const groups =
          ip.bytes
            .toHex()
            .match(/.{4}/g)
            ?.map((group) => (padded ? group : Number.parseInt(group, 16).toString(16))) ?? [];
        const long = groups.join(":");
        const dotted = `${groups.slice(0, 6).join(":")}:${ip.bytes.subarray(12).join(".")}`;
        for (const text of [long, dotted]) expect(parseIp(upper ? text.toUpperCase() : text)).toEqual(ip);
      }),
    );
  });

  test("an address is one exactly when node:net says so, zone ids apart", () => {
    fc.assert(
      fc.property(nearlyHost, (text) => {
        fc.pre(!text.includes("%"));
        expect([text, parseIp(text) !== undefined]).toEqual([text, isIP(text) !== 0]);
      }),
      { numRuns: 2000 },
    );
  });

  test("the canonical text agrees with ipaddr.js", () => {
    fc.assert(
      fc.property(address, (ip) => {
        expect(ipaddr.parse(ip.text).toByteArray()).toEqual([...ip.bytes]);
        if (ip.family === 6) expect(ipaddr.IPv6.parse(ip.text).toRFC5952String()).toBe(ip.text);
      }),
    );
  });
});

describe("ranges", () => {
  test("containsIp() agrees with comparing strings of bits", () => {
    fc.assert(
      fc.property(address, address, fc.nat(128), fc.nat(128), (base, other, length, kept) => {
        const width = base.bytes.length * 8;
        const prefix = Math.min(length, width);
        const low = bits(base).slice(0, prefix).padEnd(width, "0");
        const text = `${ipFromBytes(Uint8Array.from(low.match(/.{8}/g) ?? [], (byte) => Number.parseInt(byte, 2))).text}/${prefix}`;
        // A neighbour, which shares `kept` bits with the base: pure chance would hardly ever be inside.
        const near = ipFromBytes(
          Uint8Array.from(
            (bits(base).slice(0, kept) + bits(other).padEnd(128, "0").slice(kept)).slice(0, width).match(/.{8}/g) ?? [],
            (byte) => Number.parseInt(byte, 2),
          ),
        );
        const result = parseCidr(text);
        // Masking can turn an IPv6 base into a mapped one, which is IPv4.
        fc.pre(result.ok && result.cidr.family === base.family && near.family === base.family);
        for (const ip of [base, near, other]) {
          const inside = ip.family === base.family && bits(ip).startsWith(low.slice(0, prefix));
          expect(result.ok && containsIp(result.cidr, ip)).toBe(inside);
        }
      }),
    );
  });

  test("the canonical text of a range is its own", () => {
    fc.assert(
      fc.property(
        fc.oneof(
          nearlyHost,
          fc.tuple(address, fc.nat(130)).map(([ip, prefix]) => `${ip.text}/${prefix}`),
        ),
        (text) => {
          const result = parseCidr(text);
          if (result.ok) expect(parseCidr(result.cidr.text)).toEqual(result);
        },
      ),
    );
  });

  test("nothing that ipaddr.js knows as special is public", () => {
    fc.assert(
      fc.property(address, (ip) => {
        const range = ipaddr.fromByteArray([...ip.bytes]).range();
        if (range !== "unicast") expect([ip.text, range, isPublic(ip)]).toEqual([ip.text, range, false]);
      }),
      { numRuns: 2000 },
    );
  });
});

describe("hosts and endpoints", () => {
  test("no text makes a parser throw, and what it accepts is canonical already", () => {
    fc.assert(
      fc.property(nearlyHost, (text) => {
        const host = parseHost(text);
        if (host.ok) {
          expect(parseHost(formatHost(host.host))).toEqual(host);
          expect(host.host.text).toMatch(/^[a-z0-9._:-]{1,253}$/);
          expect(host.host.kind === "ip").toBe(isIP(host.host.text) !== 0);
        }
        const human = toAsciiHost(text);
        if (human.ok) expect(parseHost(formatHost(human.host))).toEqual(human);
        for (const result of [parseAuthority(text), parseHostField(text, 80)]) {
          if (result.ok) expect(parseAuthority(formatEndpoint(result.endpoint))).toEqual(result);
        }
      }),
      { numRuns: 2000 },
    );
  });

  test("a name that no URL parser could take for an address is the name in lower case", () => {
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 8 }), fc.boolean(), (labels, rooted) => {
        const name = labels.join(".");
        fc.pre(!labels.some((part) => /^xn--/i.test(part)));
        const url = URL.parse(`http://${name}/`);
        const expected =
          url && isIP(url.hostname) === 0
            ? {
                ok: true as const,
                host: { kind: "name" as const, text: name.toLowerCase(), ...(rooted && { absolute: true as const }) },
              }
            : undefined;
        const result = parseHost(rooted ? `${name}.` : name);
        if (expected) expect(result).toEqual(expected);
        else if (result.ok) expect(result.host).toMatchObject({ kind: "ip", text: name });
      }),
    );
  });

  test("an xn-- label is accepted only when its U-label encodes to it", () => {
    const encoded = fc.string({
      unit: fc.constantFrom(..."abcdefghijklmnopqrstuvwxyz0123456789-"),
      minLength: 1,
      maxLength: 10,
    });
    fc.assert(
      fc.property(encoded, (tail) => {
        const name = `xn--${tail}`;
        const unicode = domainToUnicode(name);
        const valid = !tail.endsWith("-") && unicode !== "" && unicode !== name && domainToASCII(unicode) === name;
        expect([name, parseHost(name).ok]).toEqual([name, valid]);
      }),
    );
  });

  test("whatever a URL parser reads as IPv4 is that same address here, or refused", () => {
    const number = fc.oneof(
      fc.nat(300).map(String),
      fc.nat(300).map((n) => `0x${n.toString(16)}`),
      fc.nat(300).map((n) => `0${n.toString(8)}`),
      fc.nat().map(String),
    );
    fc.assert(
      fc.property(fc.array(number, { minLength: 1, maxLength: 5 }), fc.constantFrom("", "."), (parts, end) => {
        const text = parts.join(".") + end;
        const result = parseHost(text);
        if (result.ok) {
          expect(result.host.kind).toBe("ip");
          expect(URL.parse(`http://${text}/`)?.hostname).toBe(result.host.text);
          expect(result.host.text).toBe(text);
        } else expect(result.code).toBe("ambiguous_ipv4");
      }),
      { numRuns: 1000 },
    );
  });

  test("an endpoint reads back as it was formatted", () => {
    const host = fc.oneof(
      address.map((ip) => ({ kind: "ip" as const, ip, text: ip.text })),
      fc
        .array(label, { minLength: 1, maxLength: 4 })
        .map((labels) => ({ kind: "name" as const, text: `${labels.join(".")}.example`.toLowerCase() })),
    );
    fc.assert(
      fc.property(host, port, (target, number) => {
        fc.pre(!target.text.includes("xn--"));
        const endpoint = { host: target, port: number };
        expect(parseAuthority(formatEndpoint(endpoint))).toEqual({ ok: true, endpoint });
      }),
    );
  });
});
