import { describe, expect, test } from "bun:test";
import { ByteReader } from "../../../../../src/protocol/tls/read/byte-reader.ts";
import { describeMessage } from "../../../../../src/protocol/tls/explain/describe-message.ts";
import { parseTls13Message } from "../../../../../src/protocol/tls/explain/tls13-message.ts";
import { HANDSHAKE_TYPE } from "../../../../../src/protocol/tls/read/handshake-message.ts";

function describeBody(type: number, hex: string): object {
  const parsed = parseTls13Message(type, new ByteReader(Uint8Array.fromHex(hex.replaceAll(" ", ""))));
  if (parsed.kind === "bad") return parsed;
  const { name, fields } = describeMessage(parsed.value);
  return { name, ...Object.fromEntries(fields.map(({ label, value }) => [label, value])) };
}

describe("parseTls13Message()", () => {
  test("reads EncryptedExtensions", () => {
    const hex = "001b 0010 0005 0003 02 6832 0000 0000 000a 0004 0002 001d 001c 0002 4001";
    expect(describeBody(HANDSHAKE_TYPE.encrypted_extensions, hex)).toEqual({
      name: "EncryptedExtensions",
      alpn: "h2",
      "server name": "acknowledged",
      groups: ["x25519"],
      "record size limit": "16385 bytes",
      extensions: ["application_layer_protocol_negotiation", "server_name", "supported_groups", "record_size_limit"],
    });
  });

  test("reads a Certificate with extensions of its entries", () => {
    const hex = "00 000012 000003 aabbcc 0004 0012 0000 000001 dd 0000";
    const parsed = parseTls13Message(
      HANDSHAKE_TYPE.certificate,
      new ByteReader(Uint8Array.fromHex(hex.replaceAll(" ", ""))),
    );
    expect(parsed).toMatchObject({
      kind: "done",
      value: { chain: [Uint8Array.of(0xaa, 0xbb, 0xcc), Uint8Array.of(0xdd)], extensions: [{ type: 18, length: 0 }] },
    });
  });

  test("reads a NewSessionTicket that takes early data", () => {
    const hex = "00001c20 12345678 01 00 0003 aabbcc 0008 002a 0004 00004000";
    expect(describeBody(HANDSHAKE_TYPE.new_session_ticket, hex)).toEqual({
      name: "NewSessionTicket",
      lifetime: "7200 s",
      ticket: "3 bytes",
      "early data": "16384 bytes",
    });
  });

  test("reads CertificateRequest, CertificateVerify, Finished and KeyUpdate", () => {
    expect(describeBody(HANDSHAKE_TYPE.certificate_request, "00 0008 000d 0004 0002 0403")).toEqual({
      name: "CertificateRequest",
      "signature algorithms": ["ecdsa_secp256r1_sha256"],
      extensions: ["signature_algorithms"],
    });
    expect(describeBody(HANDSHAKE_TYPE.certificate_verify, "0403 0002 aabb")).toEqual({
      name: "CertificateVerify",
      "signature algorithm": "ecdsa_secp256r1_sha256",
      signature: "2 bytes",
    });
    expect(describeBody(HANDSHAKE_TYPE.finished, "00".repeat(32))).toEqual({
      name: "Finished",
      "verify data": "32 bytes",
    });
    expect(describeBody(HANDSHAKE_TYPE.key_update, "01")).toEqual({ name: "KeyUpdate", update: "requested in return" });
  });

  test("names what it does not look into", () => {
    expect(describeBody(25, "aabb")).toEqual({ name: "CompressedCertificate", body: "2 bytes" });
  });

  test("does not let bytes of a server reach a terminal as they are", () => {
    const hex = "0009 0010 0005 0003 02 1b5b";
    expect(describeBody(HANDSHAKE_TYPE.encrypted_extensions, hex)).toMatchObject({ alpn: "\\x1b[" });
  });

  test.each([
    ["EncryptedExtensions that end early", HANDSHAKE_TYPE.encrypted_extensions, "0006 0010", "truncated"],
    ["bytes after EncryptedExtensions", HANDSHAKE_TYPE.encrypted_extensions, "0000 00", "trailing_bytes"],
    ["a Certificate whose list ends early", HANDSHAKE_TYPE.certificate, "00 000012 000003 aabbcc", "truncated"],
    ["an entry without its extensions", HANDSHAKE_TYPE.certificate, "00 000006 000003 aabbcc", "truncated"],
    ["an extension twice", HANDSHAKE_TYPE.certificate_request, "00 0008 0012 0000 0012 0000", "duplicate_extension"],
    ["a KeyUpdate of two bytes", HANDSHAKE_TYPE.key_update, "0101", "bad_value"],
    ["a ticket without its end", HANDSHAKE_TYPE.new_session_ticket, "00001c20 12345678 01", "truncated"],
  ])("refuses %s", (_, type, hex, code) => {
    expect(describeBody(type, hex)).toMatchObject({ kind: "bad", code });
  });
});
