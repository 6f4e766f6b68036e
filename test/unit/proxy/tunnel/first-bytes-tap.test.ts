import { describe, expect, test } from "bun:test";
import { computeJa3 } from "../../../../src/protocol/tls/read/ja3.ts";
import { describeTls } from "../../../../src/proxy/tunnel/inside-facts.ts";
import { concat, u8 } from "../../../support/build-client-hello.ts";
import { forgetTimes, makeTapStand, recordHello, replayThroughTap } from "../../../support/tap-stand.ts";
import { listMessages, listTlsFixtures, loadTlsFixture, watchAll } from "../../../support/tls-fixture.ts";

describe("a tap without a demand", () => {
  test("lets every byte of every recorded connection through at once, and reads the handshake of each", () => {
    for (const name of listTlsFixtures()) {
      const stand = makeTapStand();
      const sent = { client: 0, server: 0 };
      const fixture = loadTlsFixture(name);
      for (const { from, bytes } of fixture.segments) {
        stand.feed(from, bytes);
        sent[from] += bytes.length;
        expect([stand.up.length, stand.down.length]).toEqual([sent.client, sent.server]);
      }
      expect(stand.up.equals(fixture.client) && stand.down.equals(fixture.server)).toBe(true);
      expect([name, stand.tap.done, stand.facts.protocol]).toEqual([name, true, "tls"]);
      const [first] = listMessages(watchAll("client", fixture.client), "client_hello");
      expect(stand.facts.tls?.sni).toBe(first?.serverName);
    }
  });

  test("finds the same whether bytes come whole or one by one", () => {
    for (const name of listTlsFixtures()) {
      const [whole, pieces] = [replayThroughTap(name), replayThroughTap(name, {}, 1)];
      expect([name, forgetTimes(pieces.facts)]).toEqual([name, forgetTimes(whole.facts)]);
      expect(pieces.tap.done).toBe(true);
    }
  });

  test("names what TLS 1.2 shows, the certificate and the protocol included", () => {
    const { tls } = replayThroughTap("openssl-tls12-ecdhe-rsa").facts;
    expect(tls && describeTls(tls)).toMatchObject({
      sni: "server.example",
      alpn: "h2,http/1.1",
      alpnChosen: "h2",
      version: "TLS 1.2",
      cipher: "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
      resumed: false,
      ja4: "t13d3112h2_e8f1e7e78f70_f6eeaf393d2e",
      ja3: undefined,
      certificateExpires: expect.stringMatching(/^2126-/),
      handshakeMs: expect.any(Number),
      alert: undefined,
    });
  });

  test("names what TLS 1.3 shows", () => {
    const { tls } = replayThroughTap("curl").facts;
    expect(tls && describeTls(tls)).toMatchObject({
      sni: "server.example",
      alpn: "h2,http/1.1",
      alpnChosen: undefined,
      version: "TLS 1.3",
      cipher: "TLS_AES_256_GCM_SHA384",
      resumed: false,
      certificateExpires: undefined,
      handshakeMs: expect.any(Number),
    });
  });

  test("sees resumption in all its forms, early data, and a HelloRetryRequest on the way", () => {
    for (const name of ["openssl-tls12-session-id", "openssl-tls12-ticket", "openssl-tls13-early-data"])
      expect([name, replayThroughTap(name).facts.tls?.resumed]).toEqual([name, true]);
    const retried = replayThroughTap("openssl-tls13-hello-retry").facts.tls;
    expect([retried?.version, retried?.resumed]).toEqual([0x0304, false]);
    expect(retried?.handshakeMs).toBeDefined();
    expect(replayThroughTap("openssl-tls13-early-data").facts.tls?.handshakeMs).toBeDefined();
  });

  test("notes whose alert ended a handshake, and then no duration", () => {
    for (const [name, alert] of [
      ["openssl-no-shared-cipher", "server: handshake_failure"],
      ["openssl-protocol-version", "server: protocol_version"],
      ["openssl-unknown-ca-tls12", "client: unknown_ca"],
      ["openssl-unknown-ca-tls13", "client: unknown_ca"],
    ] as const) {
      const { tls } = replayThroughTap(name).facts;
      expect(tls && describeTls(tls)).toMatchObject({ alert, handshakeMs: undefined });
    }
  });

  test("recognises what else is spoken, and looks no further", () => {
    for (const [said, protocol] of [
      ["GET / HTTP/1.1\r\n", "http"],
      ["PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "http"],
      ["SSH-2.0-OpenSSH_9.2\r\n", "ssh"],
      ["EHLO there\r\n", "smtp"],
      ["\x16\x03\x01\x00\x05\x02", "unknown"],
      ["\0\0", "unknown"],
    ] as const) {
      const stand = makeTapStand();
      stand.feed("client", said);
      expect([said, stand.facts.protocol, stand.facts.tls, stand.tap.done]).toEqual([said, protocol, undefined, true]);
    }
  });

  test("calls what begins like TLS and is none unknown", () => {
    const stand = makeTapStand();
    stand.feed("client", concat(recordHello("a.example").subarray(0, 60), new Uint8Array(400).fill(0xff)));
    expect([stand.facts.protocol, stand.facts.tls, stand.tap.done]).toEqual(["unknown", undefined, true]);
  });

  test("stops after so many bytes, whoever sends them", () => {
    const silent = makeTapStand();
    for (let sent = 0; sent <= 64; sent += 1) silent.feed("server", new Uint8Array(1024));
    expect([silent.tap.done, silent.facts.protocol]).toEqual([true, undefined]);

    const loud = makeTapStand();
    loud.feed("client", loadTlsFixture("curl").segments[0]?.bytes ?? "");
    for (const { from, bytes } of loadTlsFixture("curl").segments.slice(0, 2))
      if (from === "server") loud.feed(from, bytes);
    for (let sent = 0; sent <= 64; sent += 1) loud.feed("server", new Uint8Array(1024));
    expect([loud.tap.done, loud.facts.tls?.version]).toEqual([true, 0x0304]);

    const slow = makeTapStand();
    slow.feed("client", u8(0x16, 3, 1, 0x40, 0, 1, 0, 0x3f, 0xfc, 3, 3));
    slow.feed("client", new Uint8Array(33 * 1024));
    expect(slow.tap.done).toBe(true);

    const unanswered = makeTapStand();
    unanswered.feed("client", recordHello("a.example"));
    for (let sent = 0; sent <= 32; sent += 1)
      unanswered.feed("client", concat(u8(23, 3, 3, 4, 0), new Uint8Array(1024)));
    expect([unanswered.tap.done, unanswered.facts.tls?.sni]).toEqual([true, "a.example"]);
  });
});

test("a tap computes JA3 when it is asked to", () => {
  const [first] = listMessages(watchAll("client", loadTlsFixture("curl").client), "client_hello");
  if (first === undefined) throw new Error("There is no hello");
  expect(replayThroughTap("curl", { ja3: true }).facts.tls?.ja3).toBe(computeJa3(first).hash);
});
