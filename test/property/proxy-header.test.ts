import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import { ipFromBytes } from "../../src/address/ip.ts";
import { parseProxyHeader } from "../../src/protocol/proxy-header/proxy-header.ts";
import { encodeProxyHeaderV1 } from "../../src/protocol/proxy-header/proxy-header-v1.ts";
import { encodeProxyHeaderV2 } from "../../src/protocol/proxy-header/proxy-header-v2.ts";

const address = fc.record({
  ip: fc
    .oneof(fc.uint8Array({ minLength: 4, maxLength: 4 }), fc.uint8Array({ minLength: 16, maxLength: 16 }))
    .map((bytes) => ipFromBytes(bytes)),
  port: fc.nat(65535),
});
// Types 3 and 4 are the checksum and padding, which stay out of the result.
const tlv = fc.record({ type: fc.integer({ min: 5, max: 255 }), value: fc.uint8Array({ maxLength: 40 }) });
const tlvs = fc.array(tlv, { maxLength: 8 });
const rest = fc.uint8Array({ maxLength: 20 });

describe("a PROXY header", () => {
  test("of version 1 reads back as it was written, and leaves what follows", () => {
    fc.assert(
      fc.property(address, address, rest, (source, destination, after) => {
        const header = { kind: "proxy", source, destination } as const;
        const bytes = encodeProxyHeaderV1(header);
        const parsed = parseProxyHeader(Buffer.concat([bytes, after]));
        expect(parsed).toEqual({ kind: "done", value: header, used: bytes.length });
      }),
      { numRuns: 300 },
    );
  });

  test("of version 2 reads back as it was written, and leaves what follows", () => {
    fc.assert(
      fc.property(address, address, tlvs, rest, (source, destination, information, after) => {
        const header = { kind: "proxy", source, destination, tlvs: information } as const;
        const bytes = encodeProxyHeaderV2(header);
        const parsed = parseProxyHeader(Buffer.concat([bytes, after]));
        expect(parsed).toEqual({ kind: "done", value: header, used: bytes.length });
      }),
      { numRuns: 300 },
    );
  });
});

describe("parseProxyHeader()", () => {
  const header = fc.record({ kind: fc.constant("proxy" as const), source: address, destination: address, tlvs });
  const written = fc.tuple(header, fc.boolean()).map(([value, two]) => {
    return two ? encodeProxyHeaderV2(value) : encodeProxyHeaderV1(value);
  });
  const changed = fc.tuple(written, fc.nat(200), fc.nat(255)).map(([bytes, at, byte]) => {
    const copy = Uint8Array.from(bytes);
    copy[at % copy.length] = byte;
    return copy;
  });
  const input = fc.oneof(fc.uint8Array({ maxLength: 300 }), changed, fc.tuple(changed, rest).map(Buffer.concat));

  test("never throws, and decides the same however the bytes are split", () => {
    fc.assert(
      fc.property(input, fc.nat(300), (bytes, at) => {
        const whole = parseProxyHeader(bytes);
        const part = parseProxyHeader(bytes.subarray(0, at));
        if (part.kind !== "more") expect(whole).toEqual(part);
        if (whole.kind === "done") expect(whole.used).toBeLessThanOrEqual(bytes.length);
        if (whole.kind === "bad") expect(whole.at).toBeLessThan(bytes.length);
      }),
      { numRuns: 2000 },
    );
  });

  test("asks for no more after 4,112 bytes", () => {
    fc.assert(
      fc.property(input, (bytes) => {
        if (bytes.length > 0)
          expect(parseProxyHeader(Buffer.concat([bytes, new Uint8Array(4112)])).kind).not.toBe("more");
      }),
      { numRuns: 300 },
    );
  });
});
