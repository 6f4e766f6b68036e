import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../../../src/protocol/tls/read/byte-reader.ts";
import { type ClientHello, parseClientHello } from "../../../../../src/protocol/tls/read/client-hello.ts";
import { ClientProfiles } from "../../../../../src/protocol/tls/read/client-profiles.ts";
import { EXTENSION } from "../../../../../src/protocol/tls/read/extension.ts";
import { computeJa4 } from "../../../../../src/protocol/tls/read/ja4.ts";
import { alpn, buildClientHello, concat, serverName, u16, u8, vector } from "../../../../support/build-client-hello.ts";
import { listMessages, listTlsFixtures, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

type Extension = readonly [number, Uint8Array];

const signatures: Extension = [13, vector(2, u16(0x0403, 0x0804))];
const versions: Extension = [43, vector(1, u16(0x0304, 0x0303))];

function readHello(extensions: readonly Extension[], cipherSuites?: readonly number[]): ClientHello {
  const parsed = parseClientHello(
    new ByteReader(buildClientHello({ extensions, ...(cipherSuites && { cipherSuites }) })),
  );
  if (parsed.kind === "bad") throw new Error(parsed.code);
  return parsed.value;
}

function profileDirectly(hello: ClientHello): object {
  return { ja4: computeJa4(hello), alpn: hello.alpn, earlyData: hello.earlyData };
}

describe("ClientProfiles", () => {
  test("says of every recorded hello what computing says, the first time and from the cache", () => {
    const profiles = new ClientProfiles();
    for (let round = 0; round < 2; round += 1)
      for (const name of listTlsFixtures())
        for (const hello of listMessages(watchAll("client", loadTlsFixture(name).client), "client_hello"))
          expect(profiles.find(hello)).toEqual(profileDirectly(hello) as ReturnType<ClientProfiles["find"]>);
  });

  test("knows a kind of client again, whatever its GREASE, the order of its extensions and the name it asks for", () => {
    const profiles = new ClientProfiles();
    const one = readHello(
      [[0x1a1a, u8()], serverName("a.example"), alpn("h2"), signatures, versions],
      [0x2a2a, 0x1301],
    );
    const other = readHello(
      [versions, signatures, alpn("h2"), [0x3a3a, u8(1)], serverName("b.example")],
      [0x1301, 0x4a4a],
    );
    expect(profiles.find(other)).toBe(profiles.find(one));
  });

  test("tells apart what differs in anything that a fingerprint is made of", () => {
    const base: Extension[] = [serverName("a.example"), alpn("h2", "http/1.1"), signatures, versions];
    const profiles = new ClientProfiles();
    const variants = [
      readHello(base),
      readHello(base, [0x1302]),
      readHello(base, [0x1301, 0x1302]),
      readHello(base.slice(1)),
      readHello([serverName("a.example"), alpn("h3"), signatures, versions]),
      readHello([serverName("a.example"), alpn("h2", "http/1.1"), [13, vector(2, u16(0x0804, 0x0403))], versions]),
      readHello([serverName("a.example"), alpn("h2", "http/1.1"), signatures, [43, vector(1, u16(0x0303))]]),
      readHello([...base, [EXTENSION.earlyData, u8()]]),
      readHello([...base, [EXTENSION.padding, u8(0)]]),
    ].map((hello) => profiles.find(hello));
    expect(new Set(variants).size).toBe(variants.length);
  });

  test("computes the profile of a hello with very many codes, and does not cache it", () => {
    const profiles = new ClientProfiles();
    const many = Array.from({ length: 65 }, (_, index): Extension => [20_000 + index, u8()]);
    const long = Array.from({ length: 600 }, (_, index) => index * 2);
    for (const hello of [
      readHello(many),
      readHello([], long),
      readHello([alpn("a".repeat(250), "b".repeat(250), "c".repeat(50))]),
    ]) {
      expect(profiles.find(hello)).toEqual(profileDirectly(hello) as ReturnType<ClientProfiles["find"]>);
      expect(profiles.find(hello)).not.toBe(profiles.find(hello));
    }
  });

  test("is not misled by the hello before, whatever the two have in common", () => {
    const base: Extension[] = [alpn("h2", "http/1.1"), signatures, versions];
    const variants = [
      readHello(base, [0x1301, 0x1302]),
      readHello(base, [0x1301]),
      readHello(base.slice(1), [0x1301]),
      readHello([...base, [0x4470, u8()]], [0x1301]),
      readHello([...base, [0x4470, u8()], [0xff01, u8(0)]], [0x1301]),
      readHello([...base, ...Array.from({ length: 65 }, (_, index): Extension => [20_000 + index, u8()])], [0x1301]),
      readHello([]),
    ];
    const profiles = new ClientProfiles();
    for (const one of variants)
      for (const other of variants)
        for (const hello of [one, other])
          expect(profiles.find(hello)).toEqual(profileDirectly(hello) as ReturnType<ClientProfiles["find"]>);
  });

  test("starts anew when it is full, and then says the same", () => {
    const profiles = new ClientProfiles();
    const first = readHello([versions], [1]);
    const before = profiles.find(first);
    for (let cipher = 2; cipher <= 1025; cipher += 1) profiles.find(readHello([versions], [cipher]));
    const after = profiles.find(first);
    expect(after).toEqual(before);
    expect(after).not.toBe(before);
  });

  test("belongs to its owner alone", () => {
    const hello = readHello([versions]);
    expect(new ClientProfiles().find(hello)).not.toBe(new ClientProfiles().find(hello));
  });

  test("reads a hello the same at any place in its bytes", () => {
    const body = buildClientHello({ extensions: [serverName("a.example"), alpn("h2"), signatures, versions] });
    const inside = parseClientHello(new ByteReader(concat(u8(9, 9, 9), body, u8(7, 7)), 3, 3 + body.length));
    const alone = parseClientHello(new ByteReader(body));
    if (inside.kind === "bad" || alone.kind === "bad") throw new Error("Both are valid");
    const profiles = new ClientProfiles();
    expect(profiles.find(inside.value)).toBe(profiles.find(alone.value));
    expect(inside.value.serverName).toBe("a.example");
  });
});
