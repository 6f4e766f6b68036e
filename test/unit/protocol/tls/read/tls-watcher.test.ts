import { describe, expect, test } from "bun:test";
import type { TlsEvent } from "../../../../../src/protocol/tls/read/tls-event.ts";
import { TlsWatcher } from "../../../../../src/protocol/tls/read/tls-watcher.ts";
import { describeMessage } from "../../../../../src/protocol/tls/explain/describe-message.ts";
import {
  buildClientHello,
  buildMessage,
  buildRecords,
  concat,
  serverName,
  u16,
  u8,
  vector,
} from "../../../../support/build-client-hello.ts";
import { loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

const HELLO = buildMessage(1, buildClientHello({ extensions: [serverName("a.example")] }));
const CHANGE_CIPHER_SPEC = u8(20, 3, 3, 0, 1, 1);

/** One word for each event. */
function tell(events: readonly TlsEvent[]): string[] {
  return events.map((event) => {
    if (event.kind === "handshake") return describeMessage(event.message).name;
    if (event.kind === "encrypted") return `encrypted ${event.content}`;
    if (event.kind === "gave_up") return event.reason;
    return event.kind === "alert" ? `alert ${event.level} ${event.description}` : event.kind;
  });
}

function serverHello(extensions: Uint8Array[] = []): Uint8Array {
  return buildMessage(2, concat(u16(0x0303), new Uint8Array(33), u16(0xc02f), u8(0), vector(2, ...extensions)));
}

describe("TlsWatcher", () => {
  test("tells a full handshake of TLS 1.2 message by message", () => {
    const { client, server } = loadTlsFixture("openssl-tls12-client-certificate");
    expect(tell(watchAll("client", client))).toEqual([
      "ClientHello",
      "Certificate",
      "ClientKeyExchange",
      "CertificateVerify",
      "change_cipher_spec",
      "encrypted handshake",
      "encrypted alert",
    ]);
    expect(tell(watchAll("server", server))).toEqual([
      "ServerHello",
      "Certificate",
      "ServerKeyExchange",
      "CertificateRequest",
      "ServerHelloDone",
      "NewSessionTicket",
      "change_cipher_spec",
      "encrypted handshake",
      "encrypted alert",
    ]);
  });

  test("tells a resumed handshake of TLS 1.2", () => {
    const { client, server } = loadTlsFixture("openssl-tls12-session-id");
    const rest = ["change_cipher_spec", "encrypted handshake", "encrypted alert"];
    expect(tell(watchAll("client", client))).toEqual(["ClientHello", ...rest]);
    expect(tell(watchAll("server", server))).toEqual(["ServerHello", ...rest]);
  });

  test("tells what is in clear of TLS 1.3", () => {
    const { client, server } = loadTlsFixture("openssl-tls13");
    expect(tell(watchAll("client", client))).toEqual([
      "ClientHello",
      "change_cipher_spec",
      "application_data",
      "application_data",
    ]);
    expect(tell(watchAll("server", server)).slice(0, 3)).toEqual([
      "ServerHello",
      "change_cipher_spec",
      "application_data",
    ]);
  });

  test("reads on after the ChangeCipherSpec that a HelloRetryRequest brings", () => {
    const { client, server } = loadTlsFixture("openssl-tls13-hello-retry");
    expect(tell(watchAll("client", client)).slice(0, 4)).toEqual([
      "ClientHello",
      "change_cipher_spec",
      "ClientHello",
      "application_data",
    ]);
    expect(tell(watchAll("server", server)).slice(0, 4)).toEqual([
      "HelloRetryRequest",
      "change_cipher_spec",
      "ServerHello",
      "application_data",
    ]);
  });

  test("finds the second hello also after early data", () => {
    const earlyData = buildRecords(23, new Uint8Array(50));
    const bytes = concat(buildRecords(22, HELLO), CHANGE_CIPHER_SPEC, earlyData, buildRecords(22, HELLO));
    for (const piece of [1, 7, bytes.length])
      expect(tell(watchAll("client", bytes, piece))).toEqual([
        "ClientHello",
        "change_cipher_spec",
        "application_data",
        "ClientHello",
      ]);
  });

  test("takes what looks almost like a second hello for the encrypted Finished", () => {
    const start = concat(buildRecords(22, HELLO), CHANGE_CIPHER_SPEC);
    const almost = [HELLO.subarray(0, -1), concat(u8(20), HELLO.subarray(1)), HELLO.subarray(0, 5)];
    for (const payload of almost)
      expect(tell(watchAll("client", concat(start, buildRecords(22, payload)))).at(-1)).toBe("encrypted handshake");
    const second = concat(start, buildRecords(22, new Uint8Array(40)), buildRecords(22, HELLO));
    expect(tell(watchAll("client", second)).slice(2)).toEqual(["encrypted handshake", "encrypted handshake"]);
  });

  test("tells alerts in clear and refusals at once", () => {
    expect(watchAll("server", loadTlsFixture("openssl-no-shared-cipher").server)).toEqual([
      { kind: "alert", level: 2, description: 40, at: 0, end: 7 },
    ]);
    expect(tell(watchAll("client", loadTlsFixture("openssl-unknown-ca-tls12").client)).at(-1)).toBe("alert 2 48");
    expect(
      tell(watchAll("client", concat(buildRecords(22, HELLO), CHANGE_CIPHER_SPEC, u8(21, 3, 3, 0, 2, 2, 48)))).at(-1),
    ).toBe("alert 2 48");
  });

  test("puts a hello together from records and segments of any size", () => {
    for (const fragment of [1, 5, 60]) {
      const bytes = buildRecords(22, HELLO, fragment);
      for (const piece of [1, 3, bytes.length]) {
        const events = watchAll("client", bytes, piece);
        expect(events).toMatchObject([
          { kind: "handshake", at: 0, end: bytes.length, message: { serverName: "a.example" } },
        ]);
      }
    }
  });

  test("takes messages that share a record apart", () => {
    const events = watchAll("server", loadTlsFixture("bun-server-tls12").server);
    expect(tell(events).slice(0, 4)).toEqual(["ServerHello", "Certificate", "ServerKeyExchange", "ServerHelloDone"]);
    const both = buildRecords(22, concat(serverHello(), buildMessage(14, u8())));
    expect(watchAll("server", both)).toMatchObject([
      { at: 0, end: both.length - 4 },
      { at: both.length - 4, end: both.length, message: { type: "other", handshakeType: 14, length: 0 } },
    ]);
  });

  test("gives the place of everything in the stream", () => {
    for (const side of ["client", "server"] as const) {
      const { [side]: bytes } = loadTlsFixture("openssl-tls12-fragments");
      const events = watchAll(side, bytes);
      expect(events.at(-1)?.end).toBe(bytes.length);
      events.forEach((event, index) => expect(event.at).toBe(events[index - 1]?.end ?? 0));
    }
  });

  test("keeps nothing of the bytes that it was given, and reads a message in place that is whole in them", () => {
    const bytes = buildRecords(22, HELLO);
    for (const piece of [1, 20, bytes.length - 1]) {
      const watcher = new TlsWatcher({ from: "client" });
      const events: TlsEvent[] = [];
      for (let at = 0; at < bytes.length; at += piece) {
        const chunk = bytes.slice(at, at + piece);
        events.push(...watcher.push(chunk));
        chunk.fill(0);
      }
      expect(events).toMatchObject([{ message: { random: new Uint8Array(32).fill(7), serverName: "a.example" } }]);
    }
    const [whole] = new TlsWatcher({ from: "client" }).push(bytes);
    expect(whole).toMatchObject({ message: { bytes, serverName: "a.example" } });
  });

  test("tells of other messages only the type when it skims, and stops at the ServerHello of TLS 1.3", () => {
    const skim = (name: string, side: "client" | "server", piece: number): string[] => {
      const { [side]: bytes } = loadTlsFixture(name);
      const watcher = new TlsWatcher({ from: side, skim: true });
      const events: TlsEvent[] = [];
      for (let at = 0; at < bytes.length; at += piece) events.push(...watcher.push(bytes.subarray(at, at + piece)));
      for (const event of events)
        if (event.kind === "handshake")
          expect(event.message.type).toMatch(/^(client_hello|server_hello|certificate|other)$/);
      return tell(events);
    };
    for (const piece of [1, 7, 100_000]) {
      for (const side of ["client", "server"] as const)
        expect(skim("openssl-tls12-client-certificate", side, piece)).toEqual(
          tell(watchAll(side, loadTlsFixture("openssl-tls12-client-certificate")[side])),
        );
      expect(skim("openssl-tls13", "server", piece)).toEqual(["ServerHello"]);
      expect(skim("openssl-tls13-hello-retry", "server", piece)).toEqual([
        "HelloRetryRequest",
        "change_cipher_spec",
        "ServerHello",
      ]);
    }
  });

  test("goes from clear to encrypted when the readable part is over", () => {
    const { client, server } = loadTlsFixture("openssl-tls13");
    const watchers = { client: new TlsWatcher({ from: "client" }), server: new TlsWatcher({ from: "server" }) };
    expect(watchers.client.state).toBe("clear");
    watchers.client.push(client.subarray(0, 338));
    expect(watchers.client.state).toBe("clear");
    watchers.client.push(client.subarray(338));
    expect(watchers.client.state).toBe("encrypted");
    watchers.server.push(server.subarray(0, 127));
    expect(watchers.server.state).toBe("encrypted");
  });

  test("keeps reading a TLS 1.2 server until its ChangeCipherSpec", () => {
    const { server } = loadTlsFixture("openssl-tls12-rsa");
    const watcher = new TlsWatcher({ from: "server" });
    watcher.push(server.subarray(0, 2266));
    expect(watcher.state).toBe("clear");
    watcher.push(server.subarray(2266));
    expect(watcher.state).toBe("encrypted");
  });

  test.each([
    ["a request of HTTP", new TextEncoder().encode("GET / HTTP/1.1\r\n")],
    ["a banner of SSH", new TextEncoder().encode("SSH-2.0-x\r\n")],
    ["a hello of SSL 2.0", u8(0x80, 0x2e, 1, 3, 1, 0, 0x15)],
    ["a record of a later major version", u8(22, 4, 0, 0, 5, 1)],
    ["a record that is too long", u8(22, 3, 1, 0x48, 0x01, 1)],
    ["an alert", u8(21, 3, 3, 0, 2, 2, 40)],
    ["application data", buildRecords(23, u8(1))],
    ["a hello of a server", buildRecords(22, serverHello())],
  ])("gives up silently on %s from a client", (_, bytes) => {
    const watcher = new TlsWatcher({ from: "client" });
    expect(watcher.push(bytes)).toEqual([{ kind: "gave_up", reason: "not_tls", at: 0, end: 0 }]);
    expect(watcher.state).toBe("stopped");
    expect(watcher.push(buildRecords(22, HELLO))).toEqual([]);
  });

  test("gives up on what was TLS and goes wrong, at the record or message that does", () => {
    const start = buildRecords(22, HELLO);
    const wrong: [Uint8Array, number][] = [
      [u8(99, 3, 3, 0, 0), 0], // no such type
      [u8(22, 3, 3, 0, 0), 0], // an empty handshake fragment, RFC 8446 §5.1
      [u8(22, 3, 3, 0x40, 1), 0], // more than 2^14 bytes in clear
      [u8(20, 3, 3, 0, 2), 0], // a ChangeCipherSpec of two bytes
      [u8(21, 3, 3, 0, 3), 0], // an alert of three bytes
      [concat(buildRecords(22, HELLO.subarray(0, 20)), CHANGE_CIPHER_SPEC), 25], // between the parts of a message
      [buildRecords(22, buildMessage(1, u8(3, 3, 0))), 0], // a hello cut off
    ];
    for (const [bytes, offset] of wrong)
      for (const piece of [1, 1000]) {
        const events = watchAll("client", concat(start, bytes), piece);
        const at = start.length + offset;
        expect(events.map(({ kind }) => kind)).toEqual(["handshake", "gave_up"]);
        expect(events[1]).toEqual({ kind: "gave_up", reason: "malformed", at, end: at });
      }
  });

  test("refuses clear text after the ServerHello of TLS 1.3, wherever it was split", () => {
    const hello = serverHello([u16(43), vector(2, u16(0x0304))]);
    const bytes = buildRecords(22, concat(hello, buildMessage(11, vector(3))));
    for (const piece of [1, 10, hello.length + 5, bytes.length])
      expect(tell(watchAll("server", bytes, piece))).toEqual(["ServerHello", "malformed"]);
  });

  test("holds no more of a message than it may", () => {
    const watcher = new TlsWatcher({ from: "client", maxMessageBytes: 100 });
    expect(watcher.push(buildRecords(22, buildMessage(1, new Uint8Array(101))))).toEqual([
      { kind: "gave_up", reason: "too_long", at: 0, end: 0 },
    ]);
    const roomy = new TlsWatcher({ from: "client", maxMessageBytes: HELLO.length - 4 });
    expect(tell(roomy.push(buildRecords(22, HELLO)))).toEqual(["ClientHello"]);
  });

  test("counts heartbeats and encrypted records without reading them", () => {
    const bytes = concat(buildRecords(22, HELLO), CHANGE_CIPHER_SPEC, buildRecords(24, u8(1)), u8(23, 3, 3, 0, 0));
    expect(watchAll("client", bytes).slice(2)).toMatchObject([
      { kind: "heartbeat", length: 1 },
      { kind: "application_data", length: 0 },
    ]);
  });
});
