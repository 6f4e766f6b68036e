import { describe, expect, test } from "bun:test";
import {
  buildClientHello,
  buildMessage,
  buildRecords,
  concat,
  serverName,
  u16,
  u8,
  vector,
} from "../../../support/build-client-hello.ts";
import { demandTls, forgetTimes, makeTapStand, replayThroughTap, type TapStand } from "../../../support/tap-stand.ts";
import { loadTlsFixture } from "../../../support/tls-fixture.ts";

/** Feeds a recorded connection, and spoils each chunk as soon as it was fed. */
function feedSpoilt(stand: TapStand, name: string, pieceBytes = Infinity): void {
  for (const { from, bytes } of loadTlsFixture(name).segments)
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const chunk = Buffer.from(bytes.slice(at, at + pieceBytes));
      stand.feed(from, chunk);
      chunk.fill(0xff);
    }
}

describe("a tap of a handshake", () => {
  test("keeps no part of any chunk", () => {
    for (const name of ["openssl-tls13-hello-retry", "openssl-tls12-ticket", "openssl-tls12-session-id", "curl"])
      for (const pieceBytes of [Infinity, 700, 7, 1]) {
        const { client, server } = loadTlsFixture(name);
        for (const options of [{}, { demand: demandTls({ minVersion: 0x0303 }) }]) {
          const stand = makeTapStand(options);
          feedSpoilt(stand, name, pieceBytes);
          expect([name, pieceBytes, forgetTimes(stand.facts)]).toEqual([
            name,
            pieceBytes,
            forgetTimes(replayThroughTap(name).facts),
          ]);
          expect([stand.up.equals(client), stand.down.equals(server)]).toEqual([true, true]);
        }
      }
  });

  test("finds nothing more once it has finished, whatever is shown to it", () => {
    const stand = replayThroughTap("curl");
    const facts = structuredClone(stand.facts);
    expect(stand.tap.done).toBe(true);
    for (const { from, bytes } of loadTlsFixture("openssl-tls12-ecdhe-rsa").segments) stand.feed(from, bytes);
    expect(stand.facts).toEqual(facts);
  });

  test("times a handshake of TLS 1.3 at the client's Finished, and not at what is too short to be one", () => {
    const [hello, answer] = loadTlsFixture("curl").segments;
    const stand = makeTapStand();
    stand.feed("client", hello?.bytes ?? "");
    stand.feed("server", answer?.bytes ?? "");
    expect([stand.tap.done, stand.facts.tls?.handshakeMs]).toEqual([false, undefined]);
    // A dummy ChangeCipherSpec, then an encrypted alert.
    stand.feed("client", concat(u8(20, 3, 3, 0, 1, 1, 23, 3, 3, 0, 19), new Uint8Array(19)));
    expect([stand.tap.done, stand.facts.tls?.handshakeMs]).toEqual([true, undefined]);
  });

  test("leaves nothing to finish when the tunnel ends in the middle of a handshake", () => {
    const stand = makeTapStand();
    stand.feed("client", loadTlsFixture("curl").segments[0]?.bytes ?? "");
    stand.end();
    stand.tap.close();
    expect([stand.tap.done, stand.facts.tls?.sni, stand.facts.tls?.version]).toEqual([
      true,
      "server.example",
      undefined,
    ]);
  });

  test("reads a name after a large post-quantum key share, in one chunk, in segments and in small records", () => {
    const share = vector(2, u16(4588), vector(2, new Uint8Array(1216)), u16(29), vector(2, new Uint8Array(32)));
    const body = buildClientHello({ extensions: [[51, share], serverName("server.example")] });
    for (const recordBytes of [1 << 14, 600, 50])
      for (const pieceBytes of [Infinity, 1400, 536, 1])
        for (const options of [{}, { demand: demandTls({ sni: "match" }) }]) {
          const hello = buildRecords(22, buildMessage(1, body), recordBytes);
          const stand = makeTapStand(options);
          for (let at = 0; at < hello.length; at += pieceBytes)
            stand.feed("client", hello.subarray(at, at + pieceBytes));
          expect([stand.failure, stand.facts.tls?.sni, stand.up.equals(hello)]).toEqual([
            undefined,
            "server.example",
            true,
          ]);
          stand.tap.close();
        }
    const denied = makeTapStand({ demand: demandTls({ sni: "match" }), target: "other.example:443" });
    denied.feed("client", buildRecords(22, buildMessage(1, body)));
    expect([denied.failure?.detail, denied.up.length]).toEqual(["sni_mismatch", 0]);
  });
});
