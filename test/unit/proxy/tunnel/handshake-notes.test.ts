import { describe, expect, test } from "bun:test";
import { readTlsSession } from "../../../../src/protocol/tls/explain/read-tls-session.ts";
import { type NotedMessage, noteMessage, readNotes } from "../../../../src/proxy/tunnel/handshake-notes.ts";
import { replayThroughTap } from "../../../support/tap-stand.ts";
import { listTlsFixtures, loadTlsFixture } from "../../../support/tls-fixture.ts";

const note = (name: string): NotedMessage[] => readNotes(replayThroughTap(name).facts.tls?.messages ?? []);
const list = (name: string) => note(name).map(({ from, name: message }) => `${from}: ${message}`);

describe("the notes of a handshake", () => {
  test("have the names and lengths that penstock trace gives without the keys", () => {
    for (const name of listTlsFixtures()) {
      const { client, server } = loadTlsFixture(name);
      const { messages } = readTlsSession(client, server, "");
      for (const from of ["client", "server"] as const) {
        const noted = note(name).filter((message) => message.from === from);
        const traced = messages.filter((message) => message.from === from).slice(0, noted.length);
        expect([name, noted.map(({ name: said, bytes }) => [said, bytes])]).toEqual([
          name,
          traced.map(({ name: said, length }) => [said, length]),
        ]);
      }
    }
  });

  test("show a whole handshake of TLS 1.2", () => {
    expect(list("openssl-tls12-ecdhe-rsa")).toEqual([
      "client: ClientHello",
      "server: ServerHello",
      "server: Certificate",
      "server: ServerKeyExchange",
      "server: ServerHelloDone",
      "client: ClientKeyExchange",
      "client: ChangeCipherSpec",
      "client: Handshake message, encrypted",
      "server: NewSessionTicket",
      "server: ChangeCipherSpec",
      "server: Handshake message, encrypted",
    ]);
  });

  test("show of TLS 1.3 what is in clear, and the client's last message", () => {
    expect(list("openssl-tls13-hello-retry")).toEqual([
      "client: ClientHello",
      "server: HelloRetryRequest",
      "server: ChangeCipherSpec",
      "client: ChangeCipherSpec",
      "client: ClientHello",
      "server: ServerHello",
      "client: Application data",
    ]);
  });

  test("are bounded in number, length and time", () => {
    const notes: number[] = [];
    const event = { kind: "application_data", length: 2 ** 24, at: 0, end: 1 } as const;
    for (let number = 0; number < 100; number += 1) noteMessage(notes, "server", event, 1e12);
    const messages = readNotes(Uint32Array.from(notes));
    expect(messages).toHaveLength(24);
    expect(messages[0]).toMatchObject({ from: "server", bytes: 0xfffff, atMs: 0xffff_ffff / 1000, encrypted: true });
  });
});
