import { describe, expect, test } from "bun:test";
import { createClientHelloParser } from "../../../../src/protocol/tls/client-hello-parser.ts";
import {
  ascii,
  buildClientHello,
  buildMessage,
  buildRecords,
  concat,
  serverName,
} from "../../../support/build-client-hello.ts";
import { loadTlsFixture } from "../../../support/tls-fixture.ts";

const HELLO = buildMessage(1, buildClientHello({ extensions: [serverName("a.example")] }));

describe("createClientHelloParser()", () => {
  test("asks for more until the hello is whole, and counts its bytes only", () => {
    const bytes = buildRecords(22, HELLO, 20);
    const parser = createClientHelloParser();
    for (let length = 0; length < bytes.length; length++)
      expect(parser.parse(bytes.subarray(0, length))).toEqual({ kind: "more" });
    expect(parser.parse(concat(bytes, ascii("more to come")))).toMatchObject({
      kind: "done",
      value: { serverName: "a.example" },
      used: bytes.length,
    });
  });

  test("reads a real one that is followed by early data", () => {
    const { client } = loadTlsFixture("openssl-tls13-early-data");
    expect(createClientHelloParser().parse(client)).toMatchObject({ kind: "done", value: { earlyData: true } });
  });

  test("says why what it is given is none", () => {
    const parse = (bytes: Uint8Array, maxBytes?: number) => createClientHelloParser(maxBytes).parse(bytes);
    expect(parse(ascii("GET / HTTP/1.1\r\n"))).toEqual({ kind: "bad", code: "not_tls", at: 0 });
    expect(parse(buildRecords(22, HELLO), 40)).toEqual({ kind: "bad", code: "too_long", at: 0 });
    expect(parse(buildRecords(22, buildMessage(1, new Uint8Array(9))))).toEqual({
      kind: "bad",
      code: "malformed",
      at: 0,
    });
  });
});
