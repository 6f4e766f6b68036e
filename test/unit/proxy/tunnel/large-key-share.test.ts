import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../../src/protocol/tls/read/byte-reader.ts";
import { parseClientHello } from "../../../../src/protocol/tls/read/client-hello.ts";
import { buildRecords, concat, u16, u8, vector } from "../../../support/build-client-hello.ts";
import { demandTls, makeTapStand } from "../../../support/tap-stand.ts";
import { loadTlsFixture } from "../../../support/tls-fixture.ts";

const SERVER_NAME = 0;
const KEY_SHARE = 51;
const PRE_SHARED_KEY = 41;
const X25519_MLKEM768 = 4588;
const X25519_MLKEM768_BYTES = 1216;
const MORE = new TextEncoder().encode("what comes after the hello");

/** The ClientHello of a recording, as a handshake message without its record. */
function readHello(name: string): Uint8Array {
  const [first] = loadTlsFixture(name).segments;
  if (first === undefined) throw new Error(`${name} has no hello`);
  const { bytes } = first;
  const length = ((bytes[3] ?? 0) << 8) | (bytes[4] ?? 0);
  return bytes.slice(5, 5 + length);
}

/** The same hello with its extensions in another order, which is the client's choice (RFC 8446 §4.2). */
function reorder(message: Uint8Array, rank: (type: number) => number): Uint8Array {
  const at = (offset: number): number => message[offset] ?? 0;
  const start = findBlock(message);
  const extensions: Uint8Array[] = [];
  for (let next = start + 2; next < message.length;) {
    const end = next + 4 + (at(next + 2) << 8) + at(next + 3);
    extensions.push(message.subarray(next, end));
    next = end;
  }
  const typeOf = (extension: Uint8Array): number => ((extension[0] ?? 0) << 8) | (extension[1] ?? 0);
  const sorted = extensions.toSorted((a, b) => rank(typeOf(a)) - rank(typeOf(b)));
  const body = concat(message.subarray(4, start), vector(2, ...sorted));
  return concat(u8(1), vector(3, body));
}

/** The server name comes last, and so after the key share; only pre-shared keys have to come after it. */
function withNameLast(message: Uint8Array): Uint8Array {
  return reorder(message, (type) => (type === PRE_SHARED_KEY ? 2 : type === SERVER_NAME ? 1 : 0));
}

/** Offsets of a text and of the large key share in a hello. */
function findOffsets(message: Uint8Array): { readonly name: number; readonly share: number } {
  const bytes = Buffer.from(message);
  return {
    name: bytes.indexOf("server.example", 0, "latin1"),
    share: bytes.indexOf(concat(u16(X25519_MLKEM768, X25519_MLKEM768_BYTES))),
  };
}

const hellos = [
  ["Chromium", readHello("chromium")],
  ["Chromium with TLS 1.2 at the server", readHello("chromium-tls12")],
  ["BoringSSL in Bun", readHello("bun")],
  ["Chromium, the name last", withNameLast(readHello("chromium"))],
  ["BoringSSL in Bun, the name last", withNameLast(readHello("bun"))],
  [
    "OpenSSL with a share of X25519MLKEM768, the name last",
    withNameLast(addLargeShare(readHello("openssl-tls13-http"))),
  ],
] as const;

/** OpenSSL before 3.5 has no such group: its hello, with the share that 3.5 sends. */
function addLargeShare(message: Uint8Array): Uint8Array {
  const bytes = Buffer.from(message);
  const extension = bytes.indexOf(concat(u16(KEY_SHARE, 38, 36, 29, 32)));
  if (extension < 0) throw new Error("OpenSSL sent no share of X25519");
  const small = message.subarray(extension + 6, extension + 42);
  const large = concat(u16(X25519_MLKEM768), vector(2, new Uint8Array(X25519_MLKEM768_BYTES).fill(0xa5)));
  const changed = concat(
    message.subarray(0, extension),
    u16(KEY_SHARE),
    vector(2, vector(2, large, small)),
    message.subarray(extension + 42),
  );
  const block = findBlock(changed);
  const body = concat(changed.subarray(4, block), vector(2, changed.subarray(block + 2)));
  return concat(u8(1), vector(3, body));
}

/** Where the length of the extensions is. */
function findBlock(message: Uint8Array): number {
  let at = 4 + 2 + 32;
  at += 1 + (message[at] ?? 0);
  at += 2 + ((message[at] ?? 0) << 8) + (message[at + 1] ?? 0);
  return at + 1 + (message[at] ?? 0);
}

describe("a ClientHello with a large post-quantum key share", () => {
  test("has the name after the share where it comes last", () => {
    for (const [name, message] of hellos) {
      const { name: at, share } = findOffsets(message);
      expect([name, share > 0 && at > 0]).toEqual([name, true]);
      if (name.includes("last")) expect(at).toBeGreaterThan(share + X25519_MLKEM768_BYTES);
      const parsed = parseClientHello(new ByteReader(message.subarray(4)));
      expect(parsed).toMatchObject({ kind: "done", value: { serverName: "server.example" } });
    }
  });

  for (const [name, message] of hellos)
    test(`of ${name} is judged by its name, whole, byte by byte, in segments and in records`, () => {
      for (const recordBytes of [1 << 14, 1200, 500, 64])
        for (const segmentBytes of [Infinity, 1460, 536, 1]) {
          const records = buildRecords(22, message, recordBytes);
          const feed = (sni: string) => {
            const stand = makeTapStand({ demand: demandTls({ sni: "match" }), target: `${sni}:443` });
            for (let at = 0; at < records.length && stand.failure === undefined; at += segmentBytes)
              stand.feed("client", records.subarray(at, at + segmentBytes));
            return stand;
          };
          const good = feed("server.example");
          expect(good.failure).toBeUndefined();
          expect(good.facts.tls?.sni).toBe("server.example");
          expect(good.up.equals(records)).toBe(true);
          const evil = feed("other.example");
          expect(evil.failure).toEqual({ detail: "sni_mismatch", note: "found SNI server.example" });
          expect(evil.up).toHaveLength(0);
        }
    });

  test("passes with the bytes that follow it in the same segment", () => {
    for (const [name, message] of hellos)
      for (const trailing of [buildRecords(20, u8(1)), concat(buildRecords(20, u8(1)), buildRecords(23, MORE))]) {
        const bytes = concat(buildRecords(22, message, 900), trailing);
        const stand = makeTapStand({ demand: demandTls({ sni: "match" }), target: "server.example:443" });
        stand.feed("client", bytes);
        expect([name, stand.failure]).toEqual([name, undefined]);
        expect(stand.up.equals(bytes)).toBe(true);
      }
  });

  test("does not pass with another hello behind it in the same segment", () => {
    for (const [name, message] of hellos) {
      const other = Buffer.from(message);
      other.write("denied.example", findOffsets(message).name, "latin1");
      const stand = makeTapStand({ demand: demandTls({ sni: "match" }), target: "server.example:443" });
      stand.feed("client", concat(buildRecords(22, message, 900), buildRecords(22, other, 900)));
      expect([name, stand.failure?.note]).toEqual([name, "found SNI denied.example"]);
      expect(stand.up).toHaveLength(0);
    }
  });
});
