import { describe, expect, test } from "bun:test";
import {
  encodeSocks5Connect,
  encodeSocks5Greeting,
  encodeSocks5Password,
  parseSocks5Choice,
  parseSocks5PasswordReply,
  parseSocks5Reply,
} from "../../../../src/protocol/socks/socks5-client.ts";
import { feedParser } from "../../../support/feed-parser.ts";
import { makeEndpoint } from "../../../support/make-endpoint.ts";

describe("encodeSocks5Greeting()", () => {
  test("offers a password only when there is one", () => {
    expect([...encodeSocks5Greeting({ password: false })]).toEqual([5, 1, 0]);
    expect([...encodeSocks5Greeting({ password: true })]).toEqual([5, 2, 0, 2]);
  });
});

describe("parseSocks5Choice()", () => {
  const parse = (bytes: number[], password = true) =>
    feedParser((b) => parseSocks5Choice(b, { password }), Uint8Array.from(bytes));

  test("reads each method that was offered, and the refusal of all", () => {
    expect(parse([5, 0])).toEqual({ kind: "done", value: "no_auth", used: 2 });
    expect(parse([5, 2])).toEqual({ kind: "done", value: "password", used: 2 });
    expect(parse([5, 255])).toEqual({ kind: "done", value: "none_acceptable", used: 2 });
  });

  test("asks for more until both bytes are there", () => {
    expect(parse([])).toEqual({ kind: "more" });
    expect(parse([5])).toEqual({ kind: "more" });
  });

  test("refuses a method that was not offered", () => {
    expect(parse([5, 2], false)).toEqual({ kind: "bad", code: "method_not_offered", at: 1 });
    expect(parse([5, 1])).toEqual({ kind: "bad", code: "method_not_offered", at: 1 });
  });

  test("refuses another version at its first byte", () => {
    expect(parse([4])).toEqual({ kind: "bad", code: "bad_version", at: 0 });
    expect(parse([0x48])).toEqual({ kind: "bad", code: "bad_version", at: 0 });
  });
});

describe("encodeSocks5Password()", () => {
  test("counts bytes of UTF-8", () => {
    expect([...(encodeSocks5Password("ü", "pw") ?? [])]).toEqual([1, 2, 0xc3, 0xbc, 2, 0x70, 0x77]);
  });

  test("takes 255 bytes each and an empty password, and refuses 256 and an empty name", () => {
    expect(encodeSocks5Password("u".repeat(255), "p".repeat(255))).toHaveLength(513);
    expect(encodeSocks5Password("u".repeat(256), "p")).toBeUndefined();
    expect(encodeSocks5Password("u", "ü".repeat(128))).toBeUndefined();
    expect(encodeSocks5Password("", "p")).toBeUndefined();
    expect(encodeSocks5Password("u", "")).toEqual(Buffer.from([1, 1, 0x75, 0]));
  });
});

describe("parseSocks5PasswordReply()", () => {
  const parse = (bytes: number[]) => feedParser(parseSocks5PasswordReply, Uint8Array.from(bytes));

  test("accepts status 0 and nothing else", () => {
    expect(parse([1, 0])).toEqual({ kind: "done", value: "accepted", used: 2 });
    expect(parse([1, 1])).toEqual({ kind: "done", value: "rejected", used: 2 });
    expect(parse([1, 255])).toEqual({ kind: "done", value: "rejected", used: 2 });
    expect(parse([1])).toEqual({ kind: "more" });
  });

  test("refuses another version of the subnegotiation", () => {
    expect(parse([5, 0])).toEqual({ kind: "bad", code: "bad_version", at: 0 });
  });
});

describe("encodeSocks5Connect()", () => {
  test("sends an IPv4 address in four bytes", () => {
    expect([...encodeSocks5Connect(makeEndpoint("192.0.2.1:443"))]).toEqual([5, 1, 0, 1, 192, 0, 2, 1, 1, 187]);
  });

  test("sends an IPv6 address in sixteen bytes", () => {
    const expected = [5, 1, 0, 4, 0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 80];
    expect([...encodeSocks5Connect(makeEndpoint("[2001:db8::1]:80"))]).toEqual(expected);
  });

  test("sends a name as a name", () => {
    expect([...encodeSocks5Connect(makeEndpoint("a.test:65535"))]).toEqual([
      5,
      1,
      0,
      3,
      6,
      ...Buffer.from("a.test"),
      255,
      255,
    ]);
  });
});

describe("parseSocks5Reply()", () => {
  const parse = (bytes: number[]) => feedParser(parseSocks5Reply, Uint8Array.from(bytes));

  test("skips a bound address of each type and leaves what follows", () => {
    expect(parse([5, 0, 0, 1, 0, 0, 0, 0, 0, 0])).toEqual({ kind: "done", value: "succeeded", used: 10 });
    expect(parse([5, 0, 0, 4, ...Array<number>(18).fill(7)])).toEqual({ kind: "done", value: "succeeded", used: 22 });
    expect(parse([5, 0, 0, 3, 3, 97, 98, 99, 0, 80])).toEqual({ kind: "done", value: "succeeded", used: 10 });
    expect(parse([5, 0, 0, 3, 0, 0, 80])).toEqual({ kind: "done", value: "succeeded", used: 7 });
  });

  test("skips the longest bound name", () => {
    expect(parse([5, 0, 0, 3, 255, ...Array<number>(257).fill(97)])).toEqual({
      kind: "done",
      value: "succeeded",
      used: 262,
    });
  });

  test("asks for more until the last byte of the port", () => {
    expect(parse([5, 0, 0, 1, 0, 0, 0, 0, 0])).toEqual({ kind: "more" });
    expect(parse([5, 0, 0, 3])).toEqual({ kind: "more" });
  });

  test("names every reply code", () => {
    const words = Array.from({ length: 11 }, (_, code) =>
      parseSocks5Reply(Uint8Array.of(5, code, 0, 1, 0, 0, 0, 0, 0, 0)),
    ).map((parsed) => (parsed.kind === "done" ? parsed.value : parsed.kind));
    expect(words).toEqual([
      "succeeded",
      "general_failure",
      "not_allowed",
      "network_unreachable",
      "host_unreachable",
      "connection_refused",
      "ttl_expired",
      "command_not_supported",
      "address_type_not_supported",
      "unassigned",
      "unassigned",
    ]);
  });

  test("tells of a failure even when the server sends no address after it", () => {
    expect(parse([5, 5])).toEqual({ kind: "done", value: "connection_refused", used: 2 });
    expect(parse([5, 2, 0, 0])).toEqual({ kind: "done", value: "not_allowed", used: 2 });
  });

  test("refuses another version and an unknown address type", () => {
    expect(parse([4])).toEqual({ kind: "bad", code: "bad_version", at: 0 });
    expect(parse([5, 0, 0, 2])).toEqual({ kind: "bad", code: "bad_address_type", at: 3 });
  });
});

test("encodeSocks5Connect() gives an absolute name with its dot, for the proxy resolves it", () => {
  const endpoint = { host: { kind: "name", text: "intra", absolute: true }, port: 80 } as const;
  expect(Buffer.from(encodeSocks5Connect(endpoint)).toString("latin1")).toContain("\u0006intra.");
});
