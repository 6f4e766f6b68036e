import { describe, expect, test } from "bun:test";
import type { Failure } from "../../../../src/proxy/failure.ts";
import { Socks5Handshake } from "../../../../src/proxy/read/socks5-handshake.ts";
import { MemoryConn } from "../../../support/memory-conn.ts";

const later = Number.POSITIVE_INFINITY;
const wrong: Failure = { detail: "credentials_wrong" };
const request = "\x05\x01\x00\x01\xc0\x00\x02\x01\x01\xbb";

function refuse(handshake: Socks5Handshake, failure: Failure = wrong): number[] {
  return [...handshake.formatRefusal({ failure })];
}

/** What was written to the client since the last look. */
function take(conn: MemoryConn): number[] {
  const bytes = [...Buffer.from(conn.text, "latin1")];
  conn.text = "";
  return bytes;
}

describe("a SOCKS5 handshake", () => {
  test("without a password chooses no method, and refuses with a reply from then on", async () => {
    const conn = new MemoryConn();
    const handshake = new Socks5Handshake({ noAuth: true, password: true });
    expect(refuse(handshake)).toEqual([5, 0xff]);
    expect(await handshake.readPassword(conn, false, later)).toEqual({ ok: true, value: undefined });
    expect(take(conn)).toEqual([5, 0]);
    expect(refuse(handshake, { detail: "too_many_connections" })).toEqual([5, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
    conn.say(request);
    expect(await handshake.readRequest(conn, later)).toMatchObject({ ok: true, value: { command: "connect" } });
    expect(take(conn)).toEqual([]);
    expect([...handshake.formatEstablished()]).toEqual([5, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
  });

  test("with a password asks for it, and says what became of it before it reads the request", async () => {
    const conn = new MemoryConn();
    const handshake = new Socks5Handshake({ noAuth: true, password: true });
    conn.say("\x01\x03ann\x02pw");
    const read = await handshake.readPassword(conn, true, later);
    expect(read.ok && read.value?.user).toBe("ann");
    expect(read.ok && read.value?.password.reveal()).toBe("pw");
    expect(take(conn)).toEqual([5, 2]);
    expect(refuse(handshake)).toEqual([1, 1]);
    conn.say(request);
    expect(await handshake.readRequest(conn, later)).toMatchObject({ ok: true });
    expect(take(conn)).toEqual([1, 0]);
    expect(refuse(handshake, { detail: "connection_refused" })).toEqual([5, 5, 0, 1, 0, 0, 0, 0, 0, 0]);
  });

  test.each([
    [{ noAuth: true, password: false }, true],
    [{ noAuth: false, password: false }, false],
  ])("has no method for an offer of %j when a password is needed: %p", async (offer, required) => {
    const conn = new MemoryConn();
    const handshake = new Socks5Handshake(offer);
    expect(await handshake.readPassword(conn, required, later)).toMatchObject({
      failure: { detail: "credentials_required" },
    });
    expect([take(conn), refuse(handshake)]).toEqual([[], [5, 0xff]]);
  });

  test.each([
    ["a password of another version", "\x02\x03ann\x02pw", "malformed_request"],
    ["a password that ends too early", "\x01\x03an", "client_gone"],
  ])("refuses %s with the status of the password", async (_, said, detail) => {
    const conn = new MemoryConn();
    const handshake = new Socks5Handshake({ noAuth: false, password: true });
    conn.say(said);
    conn.finish();
    expect(await handshake.readPassword(conn, true, later)).toMatchObject({ failure: { detail } });
    expect(refuse(handshake)).toEqual([1, 1]);
  });

  test.each([
    ["a request of another version", "\x04\x01\x00\x01", "malformed_request"],
    ["an address of another type", "\x05\x01\x00\x09", "bad_target"],
    ["no request in time", "", "handshake_timeout"],
  ])("fails for %s", async (_, said, detail) => {
    const conn = new MemoryConn();
    const handshake = new Socks5Handshake({ noAuth: true, password: false });
    await handshake.readPassword(conn, false, later);
    conn.say(said);
    expect(await handshake.readRequest(conn, performance.now())).toMatchObject({ failure: { detail } });
  });

  test("fails when the client does not take what it is told", async () => {
    const conn = new MemoryConn();
    conn.vanish();
    const gone = { ok: false, failure: { detail: "client_gone" } } as const;
    expect(await new Socks5Handshake({ noAuth: true, password: false }).readPassword(conn, false, later)).toEqual(gone);
    expect(await new Socks5Handshake({ noAuth: false, password: true }).readPassword(conn, true, later)).toEqual(gone);
  });

  test("that was not begun refuses with a method only where that is understood", () => {
    const handshake = new Socks5Handshake(undefined);
    expect(refuse(handshake, { detail: "protocol_not_served" })).toEqual([5, 0xff]);
    expect(refuse(handshake, { detail: "malformed_request" })).toEqual([]);
  });

  test.each([
    ["command_not_supported", undefined, 7],
    ["bad_target", "address_type_not_supported", 8],
    ["bad_target", undefined, 1],
    ["connection_refused", undefined, 5],
    ["address_unroutable", undefined, 3],
    ["dns_error", undefined, 4],
    ["dns_timeout", undefined, 4],
    ["connection_timeout", undefined, 6],
    ["denied_by_rule", undefined, 2],
    ["internal_error", undefined, 1],
  ] as const)("replies to %s (%p) with %d", async (detail, note, code) => {
    const handshake = new Socks5Handshake({ noAuth: true, password: false });
    await handshake.readPassword(new MemoryConn(), false, later);
    expect(refuse(handshake, { detail, ...(note !== undefined && { note }) })[1]).toBe(code);
  });
});
