import { describe, expect, test } from "bun:test";
import { type FirstBytes, recogniseFirstBytes } from "../../../../../src/protocol/tls/read/recognise-first-bytes.ts";
import { ascii, u8 } from "../../../../support/build-client-hello.ts";

const RECOGNISED: [FirstBytes, Uint8Array, number][] = [
  ["tls", u8(0x16, 3, 1, 2, 0, 1), 6],
  ["tls", u8(0x16, 3, 3, 0, 1, 1), 6],
  ["http", ascii("GET / HTTP/1.1\r\n"), 5],
  ["http", ascii("OPTIONS * HTTP/1.1\r\n"), 10],
  ["http", ascii("POST http://a.example/ HTTP/1.1"), 12],
  ["http", ascii("GET HTTPS://a.example/ HTTP/1.1"), 12],
  ["http", ascii("CONNECT a.example:443 HTTP/1.1"), 9],
  ["http", ascii("BASELINE-CONTROL /x HTTP/1.1"), 18],
  ["http", ascii("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 6],
  ["ssh", ascii("SSH-2.0-OpenSSH_9.2\r\n"), 4],
  ["smtp", ascii("EHLO client.example\r\n"), 5],
  ["smtp", ascii("helo client\r\n"), 5],
];

describe("recogniseFirstBytes()", () => {
  test.each(RECOGNISED)("recognises %s, and asks for more until it can", (protocol, bytes, needed) => {
    for (let length = 0; length <= bytes.length; length++)
      expect(recogniseFirstBytes(bytes.subarray(0, length))).toBe(length < needed ? "more" : protocol);
  });

  test.each([
    ["an old SSL hello", u8(0x80, 0x2e, 1, 3, 1)],
    ["a record of another major version", u8(0x16, 2)],
    ["a record of a minor version to come", u8(0x16, 3, 5)],
    ["an empty handshake record", u8(0x16, 3, 1, 0, 0)],
    ["a record longer than allowed", u8(0x16, 3, 1, 0x40, 1)],
    ["another handshake message than a ClientHello", u8(0x16, 3, 1, 0, 80, 2)],
    ["an alert", u8(0x15, 3, 1, 0, 2)],
    ["a command of POP3", ascii("USER alice")],
    ["a command of IMAP", ascii("a1 LOGIN")],
    ["a nick of IRC", ascii("NICK hal")],
    ["a method in lower case", ascii("get /")],
    ["a word without end", ascii("A".repeat(48))],
    ["zeros", new Uint8Array(4)],
    ["high bytes", u8(0xff, 0xfe)],
    ["a line break", ascii("\r\n")],
  ])("does not know %s", (_, bytes) => {
    expect(recogniseFirstBytes(bytes)).toBe("unknown");
  });

  test("always decides by 48 bytes", () => {
    for (const start of ["GET ", "SSH", "EHLO", "CONNECT", "A-B-C "]) {
      const bytes = ascii(start + " ".repeat(48 - start.length));
      expect(recogniseFirstBytes(bytes)).not.toBe("more");
    }
  });
});
