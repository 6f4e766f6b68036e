import { describe, expect, test } from "bun:test";
import {
  parseCertificateMessage,
  parseCertificateRequest,
  parseCertificateVerify,
  parseNewSessionTicket,
  parseServerKeyExchange,
} from "../../../../../src/protocol/tls/read/server-messages.ts";
import { ByteReader } from "../../../../../src/protocol/tls/read/byte-reader.ts";
import { concat, u16, u8, vector } from "../../../../support/build-client-hello.ts";
import { listMessages, loadTlsFixture, watchAll } from "../../../../support/tls-fixture.ts";

describe("parseCertificateMessage(new ByteReader())", () => {
  test("gives the chain in order", () => {
    const body = vector(3, vector(3, u8(1, 2)), vector(3, u8(3)));
    expect(parseCertificateMessage(new ByteReader(body))).toMatchObject({
      kind: "done",
      value: { type: "certificate", chain: [u8(1, 2), u8(3)] },
    });
    const inside = parseCertificateMessage(new ByteReader(concat(u8(9), body, u8(9)), 1, 1 + body.length));
    expect(inside).toMatchObject({ kind: "done", value: { chain: [u8(1, 2), u8(3)] } });
  });

  test("takes the empty chain of a client that has none", () => {
    expect(parseCertificateMessage(new ByteReader(vector(3)))).toMatchObject({ kind: "done", value: { chain: [] } });
  });

  test.each([
    ["a certificate past the end", concat(u8(0, 0, 4, 0, 0, 2, 1)), "truncated"],
    ["a certificate past the end of the list", concat(u8(0, 0, 4, 0, 0, 2, 1, 1)), "truncated"],
    ["a list past the end", concat(u8(0, 0, 5, 0, 0, 1, 1)), "truncated"],
    ["bytes after the list", concat(vector(3), u8(0)), "trailing_bytes"],
    ["nothing", u8(), "truncated"],
  ])("refuses %s", (_, body, code) => {
    expect(parseCertificateMessage(new ByteReader(body))).toMatchObject({ kind: "bad", code });
  });
});

describe("parseServerKeyExchange()", () => {
  test.each([
    ["openssl-tls12-ecdhe-rsa", { kind: "ecdhe", group: 29, publicLength: 32 }, 0x0804],
    ["openssl-tls12-ecdhe-ecdsa", { kind: "ecdhe", group: 23, publicLength: 65 }, 0x0403],
    ["openssl-tls12-dhe", { kind: "dhe", primeBits: 2048, publicLength: 256 }, 0x0804],
    ["openssl-tls12-anonymous", { kind: "ecdhe", group: 29, publicLength: 32 }, undefined],
    ["openssl-tls12-psk", { kind: "psk", hintLength: 4 }, undefined],
    ["openssl-tls12-ecdhe-psk", { kind: "ecdhe", group: 29, publicLength: 32 }, undefined],
    ["openssl-tls12-dhe-psk", { kind: "dhe", primeBits: 2048, publicLength: 256 }, undefined],
    ["openssl-tls10", { kind: "ecdhe", group: 29, publicLength: 32 }, undefined],
  ])("reads the one of %s", (name, exchange, signatureScheme) => {
    const messages = listMessages(watchAll("server", loadTlsFixture(name).server), "server_key_exchange");
    expect(messages).toMatchObject([{ exchange, signatureScheme }]);
  });

  test("leaves a suite that it does not know, and explicit curves, alone", () => {
    const other = { kind: "done", value: { exchange: { kind: "other" }, signatureScheme: undefined } };
    expect(parseServerKeyExchange(new ByteReader(u8(1, 2, 3)), 0x0303, 0x1234)).toMatchObject(other);
    expect(parseServerKeyExchange(new ByteReader(u8(1, 2, 3)), 0x0303, 0xc02f)).toMatchObject(other);
  });

  test("refuses a key exchange that is cut off or goes on", () => {
    const body = concat(u8(3), u16(29), vector(1, new Uint8Array(32)), u16(0x0804), vector(2, u8(1)));
    expect(parseServerKeyExchange(new ByteReader(body), 0x0303, 0xc02f)).toMatchObject({ kind: "done" });
    expect(parseServerKeyExchange(new ByteReader(body.subarray(0, -1)), 0x0303, 0xc02f)).toMatchObject({
      kind: "bad",
      code: "truncated",
    });
    expect(parseServerKeyExchange(new ByteReader(concat(body, u8(0))), 0x0303, 0xc02f)).toMatchObject({
      kind: "bad",
      code: "trailing_bytes",
    });
  });

  test("counts the bits of a prime from its first one", () => {
    const body = concat(vector(2, u8(0, 0x1f, 0xff)), vector(2, u8(2)), vector(2, u8(5)));
    expect(parseServerKeyExchange(new ByteReader(body), 0x0303, 0x00a6)).toMatchObject({
      kind: "done",
      value: { exchange: { kind: "dhe", primeBits: 13, publicLength: 1 } },
    });
  });
});

describe("parseCertificateRequest()", () => {
  test("reads the form of TLS 1.2, with signature algorithms", () => {
    const events = watchAll("server", loadTlsFixture("openssl-tls12-client-certificate").server);
    const [request] = listMessages(events, "certificate_request");
    expect(request?.certificateTypes).toEqual([1, 2, 64]);
    expect(request?.signatureAlgorithms.length).toBeGreaterThan(5);
    expect(request?.authorities).toHaveLength(1);
  });

  test("reads the older form, without", () => {
    const body = concat(vector(1, u8(1)), vector(2, vector(2, u8(0x30, 0))));
    expect(parseCertificateRequest(new ByteReader(body), 0x0302)).toMatchObject({
      kind: "done",
      value: { certificateTypes: [1], signatureAlgorithms: [], authorities: [u8(0x30, 0)] },
    });
    expect(parseCertificateRequest(new ByteReader(body.subarray(0, -1)), 0x0302)).toMatchObject({ kind: "bad" });
  });
});

describe("parseNewSessionTicket(new ByteReader())", () => {
  test("reads lifetime and size", () => {
    const events = watchAll("server", loadTlsFixture("openssl-tls12-rsa").server);
    expect(listMessages(events, "new_session_ticket")).toMatchObject([{ lifetime: 7200, ticketLength: 176 }]);
    expect(parseNewSessionTicket(new ByteReader(u8(0, 0, 0, 1, 0, 2, 0)))).toMatchObject({ kind: "bad" });
  });
});

describe("parseCertificateVerify(new ByteReader())", () => {
  test("tells the form of TLS 1.2 from the older one", () => {
    const lengths = ["openssl-tls12-client-certificate", "openssl-tls10-client-certificate"].map((name) => {
      const [verify] = listMessages(watchAll("client", loadTlsFixture(name).client), "certificate_verify");
      return verify?.signatureScheme;
    });
    expect(lengths).toEqual([0x0403, undefined]);
    expect(parseCertificateVerify(new ByteReader(u8(4, 3, 0, 2, 1)))).toMatchObject({ kind: "bad" });
  });
});
