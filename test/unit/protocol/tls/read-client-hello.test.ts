import { describe, expect, test } from "bun:test";
import { readClientHello } from "../../../../src/protocol/tls/read-client-hello.ts";
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

describe("readClientHello()", () => {
  test("asks for more until the hello is whole, and counts its bytes only", () => {
    const bytes = buildRecords(22, HELLO, 20);
    for (let length = 0; length < bytes.length; length++)
      expect(readClientHello(bytes.subarray(0, length))).toEqual({ kind: "more" });
    const trailing = concat(bytes, ascii("more to come"));
    expect(readClientHello(trailing)).toMatchObject({
      kind: "done",
      value: { serverName: "a.example" },
      used: bytes.length,
    });
  });

  test("reads a real one that is followed by early data", () => {
    const { client } = loadTlsFixture("openssl-tls13-early-data");
    expect(readClientHello(client)).toMatchObject({ kind: "done", value: { earlyData: true } });
  });

  test("says why what it is given is none", () => {
    expect(readClientHello(ascii("GET / HTTP/1.1\r\n"))).toEqual({ kind: "bad", code: "not_tls", at: 0 });
    expect(readClientHello(buildRecords(22, HELLO), 40)).toEqual({ kind: "bad", code: "too_long", at: 0 });
    expect(readClientHello(buildRecords(22, buildMessage(1, new Uint8Array(9))))).toEqual({
      kind: "bad",
      code: "malformed",
      at: 0,
    });
  });
});
