import { describe, expect, test } from "bun:test";
import { httpReply, replyUnasked, socks4Reply } from "../../../../src/proxy/read/reply.ts";
import { UnreadReplies } from "../../../../src/proxy/read/unread-replies.ts";
import { FakeConn } from "../../../support/fake-conn.ts";
import { plentyOfDescriptors } from "../../../support/plenty-of-descriptors.ts";

const all = new Set(["http", "socks5", "socks4"] as const);
const noSlots = { connections: 0 };
const socks5Reply = replyUnasked(new Set(["socks5"]));

describe("the reply to a client that is refused unread", () => {
  test.each([
    [4, "SOCKS4", socks4Reply],
    [5, "SOCKS5", socks5Reply],
    [0x43, "HTTP", httpReply],
  ])("is in the protocol that byte %d begins: %s", async (first, _name, reply) => {
    const conn = new FakeConn();
    conn.unread(Uint8Array.of(first, 1, 0));
    expect(await new UnreadReplies(noSlots, plentyOfDescriptors).find(conn, "a", all)).toBe(reply);
    // What it has said is left for whoever closes the connection.
    const seen: number[] = [];
    conn.attach({ data: (chunk) => seen.push(...chunk), end() {}, drain() {}, close() {} });
    expect(seen).toEqual([first, 1, 0]);
  });

  test("is in HTTP for a protocol that is not served, and for those beyond 64 that have said nothing", async () => {
    const replies = new UnreadReplies(noSlots, plentyOfDescriptors);
    const conn = new FakeConn();
    conn.unread(Uint8Array.of(4));
    expect(await replies.find(conn, "a", new Set(["http", "socks5"] as const))).toBe(httpReply);
    const heard = Array.from({ length: 64 }, () => new FakeConn());
    const waiting = heard.map((each, at) => replies.find(each, String(at % 4), all));
    expect(await replies.find(new FakeConn(), "new", all)).toBe(httpReply);
    for (const each of heard.slice(0, 32)) each.receiveEnd();
    for (const each of heard.slice(32)) each.break();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([httpReply]));
    const late = new FakeConn();
    const found = replies.find(late, "0", all);
    late.receive("\x05");
    expect(await found).toBe(socks5Reply);
  });

  test("is in HTTP for the connections of one client beyond 16, and others are heard", async () => {
    const replies = new UnreadReplies(noSlots, plentyOfDescriptors);
    const heard = Array.from({ length: 16 }, () => new FakeConn());
    const waiting = heard.map((each) => replies.find(each, "many", all));
    expect(await replies.find(new FakeConn(), "many", all)).toBe(httpReply);
    const other = new FakeConn();
    const found = replies.find(other, "one", all);
    other.receive("\x05");
    expect(await found).toBe(socks5Reply);
    for (const each of heard) each.break();
    await Promise.all(waiting);
  });

  test("is in HTTP where the descriptors are needed for clients that are admitted", async () => {
    const counted: number[] = [];
    const allowsConnections = (count: number): boolean => counted.push(count) < 2;
    const replies = new UnreadReplies({ connections: 100 }, { ...plentyOfDescriptors, allowsConnections });
    const heard = new FakeConn();
    const waiting = replies.find(heard, "a", all);
    expect(await replies.find(new FakeConn(), "b", all)).toBe(httpReply);
    expect(counted).toEqual([101, 102]);
    heard.break();
    await waiting;
  });
});
