import { expect, test } from "bun:test";
import { TappedConn } from "../../../../src/net/conn/tapped-conn.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";

test("bytes that come one by one and wait are joined, so that they cost no more than their number", () => {
  const below = new MemoryConn();
  const conn = new TappedConn(below, { written() {}, read() {}, ended() {} });
  const sent = Array.from({ length: 10_000 }, (_, at) => at % 251);
  for (const octet of sent) below.say(String.fromCharCode(octet));
  expect(conn.unreadBytes).toBe(sent.length);
  const chunks: Uint8Array[] = [];
  conn.attach({ data: (chunk) => chunks.push(new Uint8Array(chunk)), end() {}, drain() {}, close() {} });
  expect(chunks.length).toBeLessThan(100);
  expect(Buffer.concat(chunks)).toEqual(Buffer.from(sent));
  expect(conn.unreadBytes).toBe(0);
});
