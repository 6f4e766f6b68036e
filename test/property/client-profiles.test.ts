import { expect, test } from "bun:test";
import fc from "fast-check";
import { ByteReader } from "../../src/protocol/tls/read/byte-reader.ts";
import { parseClientHello } from "../../src/protocol/tls/read/client-hello.ts";
import { ClientProfiles } from "../../src/protocol/tls/read/client-profiles.ts";
import { computeJa4 } from "../../src/protocol/tls/read/ja4.ts";
import { alpn, buildClientHello, serverName, u16, u8, vector } from "../support/build-client-hello.ts";

/** Few values, so that hellos often have much in common with the one before. */
const code = fc.constantFrom(0x1301, 0x1302, 0x0a0a, 0xfafa, 0x0403);
const codes = fc.array(code, { maxLength: 4 });
const plainType = fc.constantFrom(21, 35, 0x1a1a, 0x4470, 0xff01, 20_000);
const extensions = fc
  .record(
    {
      name: fc.constant(serverName("a.example")),
      alpn: fc.constantFrom(alpn("h2"), alpn("h2", "http/1.1"), alpn("\n\n")),
      signatures: codes.map((list): [number, Uint8Array] => [13, vector(2, u16(...list))]),
      versions: codes.map((list): [number, Uint8Array] => [43, vector(1, u16(...list))]),
      others: fc
        .uniqueArray(plainType, { maxLength: 4 })
        .map((types) => types.map((type): [number, Uint8Array] => [type, u8()])),
      many: fc.constant(Array.from({ length: 70 }, (_, index): [number, Uint8Array] => [30_000 + index, u8()])),
    },
    { requiredKeys: [] },
  )
  .chain(({ name, alpn: protocols, signatures, versions, others = [], many = [] }) => {
    const single = [name, protocols, signatures, versions].filter((extension) => extension !== undefined);
    const all = [...single, ...others, ...many];
    return fc.shuffledSubarray(all, { minLength: all.length });
  });

test("a profile from the cache is the one that computing gives, whatever came before", () => {
  const hello = fc.record({ cipherSuites: codes, extensions, legacyVersion: fc.constantFrom(0x0301, 0x0303) });
  fc.assert(
    fc.property(fc.array(hello, { minLength: 2, maxLength: 12 }), (hellos) => {
      const profiles = new ClientProfiles();
      for (const parts of hellos) {
        const parsed = parseClientHello(new ByteReader(buildClientHello(parts)));
        if (parsed.kind === "bad") throw new Error(parsed.code);
        const { value } = parsed;
        const profile = profiles.find(value);
        expect(profile).toEqual({ ja4: computeJa4(value), alpn: value.alpn, earlyData: value.earlyData });
      }
    }),
    { numRuns: 300 },
  );
});
