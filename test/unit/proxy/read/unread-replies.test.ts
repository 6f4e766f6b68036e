import { describe, expect, test } from "bun:test";
import { httpReply, replyUnasked, socks4Reply } from "../../../../src/proxy/read/reply.ts";
import { UnreadReplies } from "../../../../src/proxy/read/unread-replies.ts";
import { FakeConn } from "../../../support/fake-conn.ts";

const all = new Set(["http", "socks5", "socks4"] as const);
const socks5Reply = replyUnasked(new Set(["socks5"]));

describe("the reply to a client that is refused unread", () => {
  test.each([
    [4, "SOCKS4", socks4Reply],
    [5, "SOCKS5", socks5Reply],
    [0x43, "HTTP", httpReply],
  ])("is in the protocol that byte %d begins: %s", async (first, _name, reply) => {
    const conn = new FakeConn();
    conn.unread(Uint8Array.of(first, 1, 0));
    expect(await new UnreadReplies().find(conn, all)).toBe(reply);
    // What it has said is left for whoever closes the connection.
    const seen: number[] = [];
    conn.attach({ data: (chunk) => seen.push(...chunk), end() {}, drain() {}, close() {} });
    expect(seen).toEqual([first, 1, 0]);
  });

  test("is in HTTP for a protocol that is not served, and for those beyond 64 that have said nothing", async () => {
    const replies = new UnreadReplies();
    const conn = new FakeConn();
    conn.unread(Uint8Array.of(4));
    expect(await replies.find(conn, new Set(["http", "socks5"] as const))).toBe(httpReply);
    const heard = Array.from({ length: 64 }, () => new FakeConn());
    const waiting = heard.map((each) => replies.find(each, all));
    expect(await replies.find(new FakeConn(), all)).toBe(httpReply);
    for (const each of heard.slice(0, 32)) each.receiveEnd();
    for (const each of heard.slice(32)) each.break();
    expect(new Set(await Promise.all(waiting))).toEqual(new Set([httpReply]));
    const late = new FakeConn();
    const found = replies.find(late, all);
    late.receive("\x05");
    expect(await found).toBe(socks5Reply);
  });
});
