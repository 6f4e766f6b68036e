import { describe, expect, test } from "bun:test";
import { readCertificateExpiry } from "../../../../../src/protocol/tls/read/certificate-expiry.ts";
import { EXTENSION } from "../../../../../src/protocol/tls/read/extension.ts";
import { outlineClientHello, outlineServerHello } from "../../../../../src/protocol/tls/read/hello-outline.ts";
import { computeJa4 } from "../../../../../src/protocol/tls/read/ja4.ts";
import { summariseHandshake } from "../../../../../src/protocol/tls/read/summarise-handshake.ts";
import {
  alpn,
  buildClientHello,
  buildMessage,
  buildRecords,
  concat,
  serverName,
  u16,
  u8,
  vector,
} from "../../../../support/build-client-hello.ts";
import { listMessages, listTlsFixtures, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

type Extension = readonly [number, Uint8Array];

const signatures: Extension = [13, vector(2, u16(0x0403, 0x0804))];
const versions: Extension = [43, vector(1, u16(0x0304, 0x0303))];

function buildFlight(extensions: readonly Extension[], cipherSuites?: readonly number[]): Uint8Array {
  const parts = cipherSuites === undefined ? { extensions } : { extensions, cipherSuites };
  return buildRecords(22, buildMessage(1, buildClientHello(parts)));
}

describe("outlineClientHello()", () => {
  test("says of every recorded hello that came whole what the parser says", () => {
    let whole = 0;
    for (const name of listTlsFixtures()) {
      const fixture = loadTlsFixture(name);
      const [hello] = listMessages(watchAll("client", fixture.client), "client_hello");
      if (hello === undefined) throw new Error(`There is no hello in ${name}`);
      const outline = outlineClientHello(fixture.segments[0]?.bytes ?? u8());
      if (outline === undefined) continue;
      whole += 1;
      expect(outline.serverName).toBe(hello.serverName);
      expect(outline.profile).toEqual({ ja4: computeJa4(hello), alpn: hello.alpn, earlyData: hello.earlyData });
    }
    expect(whole).toBeGreaterThan(25);
  });

  test("knows a kind of client again, whatever its GREASE, the order of its extensions and the name it asks for", () => {
    const one = outlineClientHello(
      buildFlight([[0x1a1a, u8()], serverName("a.example"), alpn("h2"), signatures, versions], [0x2a2a, 0x1301]),
    );
    const other = outlineClientHello(
      buildFlight([versions, signatures, alpn("h2"), [0x3a3a, u8(1)], serverName("b.example")], [0x1301, 0x4a4a]),
    );
    expect([one?.serverName, other?.serverName]).toEqual(["a.example", "b.example"]);
    expect(one?.profile).toBeDefined();
    expect(other?.profile).toBe(one?.profile as NonNullable<typeof one>["profile"]);
  });

  test("tells apart what differs in anything that a fingerprint is made of", () => {
    const base: Extension[] = [serverName("a.example"), alpn("h2", "http/1.1"), signatures, versions];
    const variants = [
      buildFlight(base),
      buildFlight(base, [0x1302]),
      buildFlight(base, [0x1301, 0x1302]),
      buildFlight(base.slice(1)),
      buildFlight([serverName("a.example"), alpn("h3"), signatures, versions]),
      buildFlight([serverName("a.example"), alpn("h2", "http/1.1"), [13, vector(2, u16(0x0804, 0x0403))], versions]),
      buildFlight([serverName("a.example"), alpn("h2", "http/1.1"), signatures, [43, vector(1, u16(0x0303))]]),
      buildFlight([...base, [EXTENSION.earlyData, u8()]]),
      buildFlight([...base, [EXTENSION.padding, u8(0)]]),
    ].map((bytes) => outlineClientHello(bytes)?.profile);
    expect(variants.every((profile) => profile !== undefined)).toBe(true);
    expect(new Set(variants).size).toBe(variants.length);
  });

  test("leaves every other form to a watcher", () => {
    const message = buildMessage(1, buildClientHello({ extensions: [serverName("a.example")] }));
    const whole = buildRecords(22, message);
    expect(outlineClientHello(whole)).toBeDefined();
    expect(outlineClientHello(buildRecords(22, message, 40))).toBeUndefined();
    expect(outlineClientHello(concat(whole, u8(20, 3, 3, 0, 1, 1)))).toBeUndefined();
    expect(outlineClientHello(buildRecords(22, concat(message, message)))).toBeUndefined();
    expect(outlineClientHello(buildRecords(23, message))).toBeUndefined();
    for (let length = 0; length < whole.length; length += 1)
      expect(outlineClientHello(whole.subarray(0, length))).toBeUndefined();
  });

  test("leaves what is not valid to a watcher", () => {
    expect(outlineClientHello(buildFlight([serverName("a.example"), serverName("b.example")]))).toBeUndefined();
    expect(outlineClientHello(buildFlight([serverName("a example")]))).toBeUndefined();
    expect(outlineClientHello(buildFlight([[0, u8(0, 4, 0, 0, 9, 0x61)]]))).toBeUndefined();
    expect(outlineClientHello(buildFlight([[0, u8()]]))).toBeUndefined();
    expect(outlineClientHello(buildFlight([[10, u8(9)]]))).toBeUndefined();
    const many = Array.from({ length: 65 }, (_, index): Extension => [20_000 + index, u8()]);
    expect(outlineClientHello(buildFlight(many))).toBeUndefined();
    const long = Array.from({ length: 600 }, (_, index) => index * 2);
    expect(outlineClientHello(buildFlight([], long))).toBeUndefined();
  });
});

describe("outlineServerHello()", () => {
  test("says of every recorded answer what the parsers say", () => {
    const seen = new Set<number>();
    for (const name of listTlsFixtures()) {
      const fixture = loadTlsFixture(name);
      const answer = fixture.segments.find(({ from }) => from === "server")?.bytes ?? u8();
      const events = watchAll("server", fixture.server);
      const [client] = listMessages(watchAll("client", fixture.client), "client_hello");
      const [server] = listMessages(events, "server_hello");
      if (client === undefined) throw new Error(`There is no hello in ${name}`);
      const outline = outlineServerHello(answer, fixture.client);
      if (outline === undefined) {
        // Nothing but a refusal, another question, or a certificate in pieces.
        expect(name).toMatch(/^openssl-(?:no-shared-cipher|protocol-version)$|-hello-retry$/);
        continue;
      }
      if (server === undefined) throw new Error(`There is no answer in ${name}`);
      seen.add(server.version);
      const [own] = listMessages(events, "certificate")[0]?.chain ?? [];
      const { version, cipherSuite, resumed, alpn: chosen } = summariseHandshake(client, server);
      expect([name, outline]).toEqual([
        name,
        { version, cipherSuite, resumed, alpn: chosen, certificateExpiry: own && readCertificateExpiry(own) },
      ]);
    }
    expect([...seen].sort()).toEqual([0x0301, 0x0302, 0x0303, 0x0304]);
  });

  test("gives nothing for a choice of protocol that is no list of one name", () => {
    const { server, client } = loadTlsFixture("openssl-tls12-ecdhe-rsa");
    const at = Buffer.from(server).indexOf("\x02h2", "latin1");
    expect(outlineServerHello(server, client)?.alpn).toBe("h2");
    for (const [offset, value] of [
      [0, 1],
      [0, 3],
      [0, 0],
      [-1, 4],
      [-2, 1],
    ] as const) {
      const changed = server.slice();
      changed[at + offset] = value;
      expect(outlineServerHello(changed, client)).toBeUndefined();
    }
  });

  test("gives nothing for what is cut off before the end of the certificate's validity", () => {
    for (const name of ["openssl-tls13", "openssl-tls12-ecdhe-rsa"]) {
      const { server, client } = loadTlsFixture(name);
      const whole = outlineServerHello(server, client);
      const end = 5 + (((server[3] ?? 0) << 8) | (server[4] ?? 0));
      expect(whole).toBeDefined();
      for (let length = 0; length < end; length += 1)
        expect(outlineServerHello(server.subarray(0, length), client)).toBeUndefined();
      for (let length = end; length < server.length; length += 1) {
        const outline = outlineServerHello(server.subarray(0, length), client);
        if (outline !== undefined) expect(outline).toEqual(whole as NonNullable<typeof whole>);
      }
    }
  });
});
