import { describe, expect, test } from "bun:test";
import type { Failure } from "../../../../src/proxy/failure.ts";
import { type FirstMessageLimits, readFirstMessage } from "../../../../src/proxy/read/first-message.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";

const limits: FirstMessageLimits = {
  protocols: new Set(["http", "socks4", "socks5"] as const),
  head: { maxBytes: 1024, maxFields: 10 },
  endsAt: Number.POSITIVE_INFINITY,
  newcomers: new Set(),
};
const connect = "CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n";
const socks4 = "\x04\x01\x01\xbb\xc0\x00\x02\x01user\x00";
const socks5 = "\x05\x02\x00\x02";

/** Says `parts` to a reader and gives what it reads, with what is left unread. */
async function read(parts: readonly string[], end?: (conn: MemoryConn) => void, change = {}) {
  const conn = new MemoryConn();
  const reading = readFirstMessage(conn, { ...limits, ...change });
  for (const part of parts) conn.say(part);
  end?.(conn);
  return { outcome: await reading, unread: conn.unreadBytes };
}

const finish = (conn: MemoryConn): void => conn.finish();
const vanish = (conn: MemoryConn): void => conn.vanish();

describe("readFirstMessage()", () => {
  test.each([
    ["http", connect],
    ["http", `\r\n${connect}`],
    ["socks4", socks4],
    ["socks5", socks5],
  ] as const)("recognises %s, however the message is cut, and leaves what follows", async (protocol, message) => {
    for (let cut = 1; cut <= message.length; cut++) {
      const { outcome, unread } = await read([message.slice(0, cut), `${message.slice(cut)}more`]);
      expect(outcome).toMatchObject({ ok: true, value: { protocol } });
      expect(unread).toBe(4);
    }
  });

  test("gives at once what is there already", () => {
    const conn = new MemoryConn();
    conn.say(connect);
    expect(readFirstMessage(conn, limits)).toMatchObject({ ok: true, value: { head: { method: "CONNECT" } } });
  });

  const refused: readonly (readonly [what: string, said: string, failure: Failure, protocol: string | undefined])[] = [
    ["nonsense", "nonsense\r\n\r\n", { detail: "malformed_request", note: expect.any(String) as never }, "http"],
    [
      "another version",
      "GET / HTTP/2.0\r\n\r\n",
      { detail: "version_not_supported", note: "version_not_supported" },
      "http",
    ],
    [
      "a field too many",
      `GET / HTTP/1.1\r\n${"A: b\r\n".repeat(11)}\r\n`,
      { detail: "head_too_large", note: "too_many_fields" },
      "http",
    ],
    ["a head too large", `GET / HTTP/1.1\r\nA: ${"b".repeat(2000)}`, { detail: "head_too_large" }, "http"],
    [
      "TLS",
      "\x16\x03\x01",
      { detail: "protocol_not_served", note: "the client speaks TLS, this listener does not" },
      undefined,
    ],
    [
      "a user id of SOCKS4 without an end",
      `\x04\x01\x01\xbb\xc0\x00\x02\x01${"u".repeat(300)}`,
      { detail: "malformed_request", note: "user_id_too_long" },
      "socks4",
    ],
  ];
  test.each(refused)("refuses %s, and tells the protocol as far as it is known", async (_, said, failure, protocol) => {
    const { outcome } = await read([said]);
    if (outcome.ok || outcome.failure === "silent") throw new Error("It was taken");
    expect(outcome.failure.detail).toBe(failure.detail);
    if (failure.note !== undefined) expect(outcome.failure.note).toEqual(failure.note);
    expect(outcome.protocol).toEqual(protocol as never);
  });

  test.each([
    ["http", "socks5", socks5],
    ["socks5", "http", connect],
    ["http", "socks4", socks4],
  ] as const)("refuses at a listener for %s what is %s", async (served, spoken, message) => {
    const { outcome } = await read([message.slice(0, 1)], undefined, { protocols: new Set([served]) });
    expect(outcome).toEqual({
      ok: false,
      failure: { detail: "protocol_not_served", note: "protocol_not_served" },
      protocol: spoken,
    });
  });

  test.each([
    ["nothing", ""],
    ["a CR", "\r"],
    ["an empty line", "\r\n"],
  ])("counts %s as silence when the client leaves", async (_, said) => {
    for (const leave of [finish, vanish])
      expect((await read([said], leave)).outcome).toMatchObject({ ok: false, failure: "silent" });
  });

  test.each([connect, socks4, socks5])(
    "tells a client that ends its side in the middle from one that is gone: %j",
    async (message) => {
      const half = message.slice(0, 3);
      expect((await read([half], finish)).outcome).toMatchObject({ failure: { detail: "malformed_request" } });
      expect((await read([half], vanish)).outcome).toMatchObject({ failure: { detail: "client_gone" } });
    },
  );

  test("gives up a client that is waited for, unless its message has begun", async () => {
    const newcomers: FirstMessageLimits["newcomers"] = new Set();
    const silent = readFirstMessage(new MemoryConn(), { ...limits, newcomers });
    const slow = new MemoryConn();
    const begun = readFirstMessage(slow, { ...limits, newcomers });
    slow.say(connect.slice(0, 9));
    expect(newcomers.size).toBe(2);
    for (const newcomer of newcomers) newcomer.giveUpSilent();
    expect(await silent).toMatchObject({ ok: false, failure: "silent" });
    expect(newcomers.size).toBe(1);
    slow.say(connect.slice(9));
    expect(await begun).toMatchObject({ ok: true });
    expect(newcomers.size).toBe(0);
  });

  test("waits no longer than it may", async () => {
    const endsAt = performance.now() + 1;
    expect((await read([connect.slice(0, 9)], undefined, { endsAt })).outcome).toEqual({
      ok: false,
      failure: { detail: "handshake_timeout" },
      protocol: "http",
    });
    expect((await read([], undefined, { endsAt })).outcome).toMatchObject({ failure: "silent" });
  });
});
