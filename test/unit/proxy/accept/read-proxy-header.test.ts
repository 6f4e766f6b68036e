import { describe, expect, test } from "bun:test";
import { encodeProxyHeaderV2 } from "../../../../src/protocol/proxy-header/proxy-header-v2.ts";
import { readProxyHeader } from "../../../../src/proxy/accept/read-proxy-header.ts";
import { makeIp } from "../../../support/make-policy.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";

const source = { ip: makeIp("192.0.2.7"), port: 5000 };
const destination = { ip: makeIp("192.0.2.1"), port: 8080 };
const v1 = "PROXY TCP4 192.0.2.7 192.0.2.1 5000 8080\r\n";
const v2 = Buffer.from(encodeProxyHeaderV2({ kind: "proxy", source, destination, tlvs: [] })).toString("latin1");
const local = Buffer.from(encodeProxyHeaderV2({ kind: "local" })).toString("latin1");

async function read(said: string, end?: "finish" | "vanish", endsAt = Number.POSITIVE_INFINITY) {
  const conn = new MemoryConn();
  const reading = readProxyHeader(conn, endsAt);
  conn.say(said);
  if (end !== undefined) conn[end]();
  return { outcome: await reading, unread: conn.unreadBytes };
}

describe("readProxyHeader()", () => {
  test.each([
    ["version 1", v1],
    ["version 2", v2],
  ])("reads the client from %s, and leaves what follows", async (_, header) => {
    const { outcome, unread } = await read(`${header}GET`);
    if (outcome === "silent" || !outcome.ok) throw new Error("It was refused");
    expect([outcome.value?.ip.text, outcome.value?.port, unread]).toEqual(["192.0.2.7", 5000, 3]);
  });

  test.each([
    ["PROXY UNKNOWN\r\n", "version 1"],
    [local, "version 2"],
  ])("takes a peer that speaks for itself as it is: %j", async (header) => {
    expect((await read(header)).outcome).toEqual({ ok: true, value: undefined });
  });

  test.each([
    ["GET / HTTP/1.1\r\n\r\n", undefined, "proxy_header_missing"],
    ["PROXY TCP4 192.0.2.7 192.0.2.1 5000 99999\r\n", undefined, "proxy_header_missing"],
    [v1.slice(0, 9), "finish", "client_gone"],
    [v2.slice(0, 9), "vanish", "client_gone"],
  ] as const)("refuses %j, then %p, with %s", async (said, end, detail) => {
    expect((await read(said, end)).outcome).toMatchObject({ ok: false, failure: { detail } });
  });

  test("tells silence from half a header when the time is over, or the peer leaves", async () => {
    const now = performance.now();
    expect((await read("", undefined, now)).outcome).toBe("silent");
    expect((await read("", "vanish")).outcome).toBe("silent");
    expect((await read("PROXY", undefined, now)).outcome).toMatchObject({ failure: { detail: "handshake_timeout" } });
  });
});
