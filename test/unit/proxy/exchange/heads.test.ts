import { describe, expect, test } from "bun:test";
import { formatClientHead } from "../../../../src/proxy/exchange/client-head.ts";
import { MessageFlow } from "../../../../src/proxy/exchange/flow.ts";
import { ForwardedHead } from "../../../../src/proxy/exchange/head-to-write.ts";
import { OwnLines } from "../../../../src/proxy/exchange/own-lines.ts";
import { Scratch } from "../../../../src/proxy/exchange/scratch.ts";
import { hasPassed } from "../../../../src/proxy/exchange/via.ts";
import { encodeFields, NO_FIELDS } from "../../../../src/protocol/http1/fields.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";
import { parseResponseHead } from "../../../support/parse-head.ts";

const DATE = "Date: Fri, 27 Nov 2026 23:17:51 GMT\r\n";

/** Gives the head that the client gets for one of an origin. */
function forwardHead(text: string, options: { chunked?: boolean; close?: boolean; bound?: boolean } = {}): string {
  const parsed = parseResponseHead(Buffer.from(text, "latin1"), { maxBytes: 8192, maxFields: 100 });
  if (parsed.kind !== "done") throw new Error("The head of the test is wrong");
  const lines = new OwnLines();
  const head = formatClientHead(parsed.value, {
    via: "us",
    lines,
    chunked: false,
    close: false,
    bound: false,
    edits: undefined,
    ...options,
  });
  if (typeof head === "string") return head;
  const target = Buffer.alloc(head.most);
  return target.toString("latin1", 0, head.fill(target));
}

describe("the head for a client", () => {
  test("is that of the origin, with our name at its end", () => {
    const head = `HTTP/1.1 200 Fine\r\n${DATE}x: y\r\n`;
    expect(forwardHead(`${head}\r\n`)).toBe(`${head}Via: 1.1 us\r\n\r\n`);
  });

  test("has one space before each value and none after it", () => {
    expect(forwardHead(`HTTP/1.1 200 Fine\r\n${DATE}x:  y \r\n\r\n`)).toBe(
      `HTTP/1.1 200 Fine\r\n${DATE}x: y\r\nVia: 1.1 us\r\n\r\n`,
    );
  });

  test("gets a date when the origin says none", () => {
    expect(forwardHead("HTTP/1.1 200 OK\r\n\r\n")).toMatch(
      /^HTTP\/1\.1 200 OK\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\nVia: 1\.1 us\r\n\r\n$/,
    );
  });

  test("speaks version 1.1 for an origin of 1.0, and says so in Via", () => {
    expect(forwardHead(`HTTP/1.0 200 OK\r\n${DATE}\r\n`)).toBe(`HTTP/1.1 200 OK\r\n${DATE}Via: 1.0 us\r\n\r\n`);
  });

  test("keeps its status line when a field has to be written anew", () => {
    expect(forwardHead(`HTTP/1.1 200 OK\r\nContent-Length: 05\r\n${DATE}\r\n`)).toBe(
      `HTTP/1.1 200 OK\r\nContent-Length: 5\r\n${DATE}Via: 1.1 us\r\n\r\n`,
    );
  });

  test("loses what was for one hop, and says what holds for the next", () => {
    const head = `HTTP/1.1 200 OK\r\nConnection: x\r\nX: 1\r\nTransfer-Encoding: chunked\r\n${DATE}\r\n`;
    expect(forwardHead(head, { chunked: true, close: true })).toBe(
      `HTTP/1.1 200 OK\r\n${DATE}Transfer-Encoding: chunked\r\nConnection: close\r\nVia: 1.1 us\r\n\r\n`,
    );
  });

  test("is refused when Connection nominates its length", () => {
    expect(forwardHead(`HTTP/1.1 200 OK\r\nConnection: content-length\r\n${DATE}\r\n`)).toBe(
      "connection_names_framing",
    );
  });
});

describe("the lines of our own", () => {
  test("follow a change of our name", () => {
    const lines = new OwnLines();
    const read = (octets: Uint8Array): string => Buffer.from(octets).toString("latin1");
    expect(read(lines.undated("1.1", "one"))).toBe("Via: 1.1 one\r\n\r\n");
    expect(read(lines.dated("1.1", "one"))).toEndWith("GMT\r\nVia: 1.1 one\r\n\r\n");
    expect(read(lines.dated("1.1", "two"))).toEndWith("GMT\r\nVia: 1.1 two\r\n\r\n");
    expect(read(lines.undated("1.1", "two"))).toBe("Via: 1.1 two\r\n\r\n");
  });
});

describe("a name in Via", () => {
  test.each([
    ["1.1 us", true],
    ["1.0 other, 1.1 us (a comment)", true],
    ["1.1 other (1.1 us)", false],
    ["1.1 us2", false],
    ["1.1 a (\\), 1.1 us)", false],
  ])("is found where an element says it: %s", (value, expected) => {
    expect(hasPassed(encodeFields([{ name: "via", value }]), "us")).toBe(expected);
  });
});

/** A connection that tells which memory was written to it. */
class RecordingConn extends MemoryConn {
  readonly written: Uint8Array[] = [];

  override write(bytes: Uint8Array): number {
    this.written.push(bytes);
    return super.write(bytes);
  }
}

describe("a message", () => {
  test.each([
    ["in one write when its body is short", 1000, 1],
    ["without a copy of most of a long body", 100_000, 2],
  ])("is written %s", (_how, length, writes) => {
    const sink = new RecordingConn();
    const flow = new MessageFlow(new Scratch(), () => {});
    flow.begin(new MemoryConn(), sink);
    const read = Buffer.alloc(length + 10, "b");
    flow.writeHead(new ForwardedHead("head\r\n\r\n", NO_FIELDS, ""), read, 10);
    expect(sink.text).toBe(`head\r\n\r\n${"b".repeat(length)}`);
    expect(flow.bytes).toBe(length + 8);
    expect(sink.written).toHaveLength(writes);
    expect(sink.written.slice(1).every(({ buffer }) => buffer === read.buffer)).toBe(true);
  });

  test("comes in order when its sink takes little", () => {
    const sink = new MemoryConn();
    sink.room = 3;
    const flow = new MessageFlow(new Scratch(), () => {});
    flow.begin(new MemoryConn(), sink);
    flow.writeHead(
      new ForwardedHead("head\r\n\r\n", NO_FIELDS, ""),
      Buffer.from("a".repeat(20_000) + "b".repeat(20_000)),
    );
    expect(flow.empty).toBe(false);
    sink.room = Number.POSITIVE_INFINITY;
    flow.flush();
    expect(flow.empty).toBe(true);
    expect(sink.text).toBe(`head\r\n\r\n${"a".repeat(20_000)}${"b".repeat(20_000)}`);
  });
});
