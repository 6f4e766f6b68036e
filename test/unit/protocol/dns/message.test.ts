import { describe, expect, test } from "bun:test";
import {
  decodeDnsReply,
  type DnsQuestion,
  encodeDnsQuestion,
  TYPE_A,
  TYPE_AAAA,
} from "../../../../src/protocol/dns/message.ts";

const question: DnsQuestion = { id: 0x1234, name: "www.example.test", type: TYPE_A };
const POINTER = [0xc0, 12];

function name(text: string): number[] {
  return [...text.split(".").flatMap((label) => [label.length, ...Buffer.from(label)]), 0];
}

function record(owner: readonly number[], type: number, data: readonly number[], ttl = 300): number[] {
  return [...owner, 0, type, 0, 1, 0, 0, ttl >> 8, ttl & 255, 0, data.length, ...data];
}

/** A reply to the question: flags, records. */
function reply(flags: number, ...records: readonly number[][]): Uint8Array {
  const asked = encodeDnsQuestion(question);
  const head = [0x12, 0x34, flags >> 8, flags & 255, 0, 1, 0, records.length, 0, 0, 0, 0];
  return Uint8Array.from([...head, ...asked.subarray(12), ...records.flat()]);
}

function addressesOf(bytes: Uint8Array): string[] {
  const read = decodeDnsReply(bytes, question);
  if (read.kind !== "reply") throw new Error("It is no reply");
  return read.addresses.map((address) => address.join("."));
}

describe("encodeDnsQuestion()", () => {
  test("writes one question that desires recursion", () => {
    expect(Buffer.from(encodeDnsQuestion(question)).toString("hex")).toBe(
      "12340100000100000000000003777777076578616d706c6504746573740000010001",
    );
    expect(encodeDnsQuestion({ ...question, type: TYPE_AAAA }).at(-3)).toBe(28);
  });
});

describe("decodeDnsReply()", () => {
  test("reads addresses, and the least TTL", () => {
    const bytes = reply(0x8180, record(POINTER, 1, [192, 0, 2, 1]), record(POINTER, 1, [192, 0, 2, 2], 60));
    expect(decodeDnsReply(bytes, question)).toEqual({
      kind: "reply",
      rcode: 0,
      truncated: false,
      addresses: [Uint8Array.of(192, 0, 2, 1), Uint8Array.of(192, 0, 2, 2)],
      ttl: 60,
    });
  });

  test("follows aliases in any order, and takes the addresses of no other name", () => {
    const bytes = reply(
      0x8180,
      record(name("b.test"), 1, [192, 0, 2, 1]),
      record(name("A.test"), 5, name("b.test"), 30),
      record(POINTER, 5, name("a.TEST")),
      record(name("evil.test"), 1, [192, 0, 2, 66]),
    );
    expect(addressesOf(bytes)).toEqual(["192.0.2.1"]);
    expect(decodeDnsReply(bytes, question)).toMatchObject({ ttl: 30 });
  });

  test("comes to an end with aliases that lead round in a circle", () => {
    const bytes = reply(0x8180, record(POINTER, 5, name("b.test")), record(name("b.test"), 5, POINTER));
    expect(addressesOf(bytes)).toEqual([]);
  });

  test("takes no address of another length or class, and none of another type", () => {
    const chaos = record(POINTER, 1, [192, 0, 2, 9]);
    chaos[5] = 3;
    const bytes = reply(0x8180, record(POINTER, 1, [192, 0, 2]), chaos, record(POINTER, 28, [192, 0, 2, 8]));
    expect(addressesOf(bytes)).toEqual([]);
  });

  test("reads what failed, and what was cut", () => {
    expect(decodeDnsReply(reply(0x8183), question)).toMatchObject({ rcode: 3, addresses: [] });
    expect(decodeDnsReply(reply(0x8182), question)).toMatchObject({ rcode: 2 });
    const cut = reply(0x8380, record(POINTER, 1, [192, 0, 2, 1]), record(POINTER, 1, [192, 0, 2, 2])).slice(0, -3);
    expect(decodeDnsReply(cut, question)).toMatchObject({ truncated: true, addresses: [{ length: 4 }] });
  });

  test("takes a failure that does not repeat the question", () => {
    const bytes = Uint8Array.of(0x12, 0x34, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0);
    expect(decodeDnsReply(bytes, question)).toMatchObject({ kind: "reply", rcode: 1 });
    bytes[3] = 0x80;
    expect(decodeDnsReply(bytes, question).kind).toBe("other");
  });

  test("does not take for an answer what answers something else", () => {
    const good = reply(0x8180, record(POINTER, 1, [192, 0, 2, 1]));
    const others: [string, (bytes: Uint8Array) => void][] = [
      ["another id", (bytes) => (bytes[0] = 0)],
      ["a question", (bytes) => (bytes[2] = 0x01)],
      ["another operation", (bytes) => (bytes[2] = 0xa8)],
      ["another name", (bytes) => (bytes[13] = 0x78)],
      ["another type", (bytes) => (bytes[31] = 28)],
      ["another class", (bytes) => (bytes[33] = 3)],
      ["two questions", (bytes) => (bytes[5] = 2)],
    ];
    for (const [, change] of others) {
      const bytes = Uint8Array.from(good);
      change(bytes);
      expect(decodeDnsReply(bytes, question)).toEqual({ kind: "other" });
    }
    expect(decodeDnsReply(good.subarray(0, 11), question)).toEqual({ kind: "other" });
  });

  test("takes the name in any case", () => {
    const bytes = reply(0x8180, record(POINTER, 1, [192, 0, 2, 1]));
    bytes[13] = 0x57;
    expect(addressesOf(bytes)).toEqual(["192.0.2.1"]);
  });

  test("does not take a dot within a label for one between labels", () => {
    const bytes = reply(0x8180, record(POINTER, 5, [3, 0x61, 0x2e, 0x62, 0]), record(name("a.b"), 1, [192, 0, 2, 1]));
    expect(addressesOf(bytes)).toEqual([]);
  });

  test("follows no pointer that leads forward or to itself", () => {
    for (const target of [46, 60])
      expect(addressesOf(reply(0x8180, record([0xc0, target], 1, [192, 0, 2, 1])))).toEqual([]);
  });
});
