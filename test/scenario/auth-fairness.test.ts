import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { allowLoopback, basic, startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { listenEcho, type RawPeer, type RawServer } from "../support/raw-peer.ts";

let echo: RawServer;
beforeAll(() => {
  echo = listenEcho();
});
afterAll(() => echo[Symbol.dispose]());

/** A proxy behind a load balancer, whose function of users answers for `slow…` when it is told to, and for others at once. */
async function startSlowProxy() {
  const asked: string[] = [];
  const answers: ((answer: boolean) => void)[] = [];
  const proxy = await startProxy({
    listen: [{ port: 0, proxyProtocol: ["127.0.0.1"] }],
    users: (name) => {
      asked.push(name);
      return name.startsWith("slow") ? new Promise((resolve) => answers.push(resolve)) : name === "quick";
    },
    timeouts: { hook: "1m" },
    rules: [allowLoopback],
  });
  return { proxy, asked, answers };
}

/** Asks for a tunnel as a user of an address; what is answered is in the text of the peer. */
async function ask(proxy: TestProxy, address: string, user: string): Promise<RawPeer> {
  const peer = await proxy.connect();
  const target = `127.0.0.1:${echo.port}`;
  const [[name, value] = []] = Object.entries(basic(user, "pw"));
  const version = address.includes(":") ? `TCP6 ${address} ::1` : `TCP4 ${address} 198.51.100.1`;
  peer.write(
    `PROXY ${version} 4711 8080\r\nCONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${name}: ${value}\r\n\r\n`,
  );
  return peer;
}

async function readStatus(peer: RawPeer): Promise<string> {
  await peer.untilText("\r\n\r\n");
  return peer.text.slice(9, 12);
}

describe("a client that wants all of the function of users", () => {
  test.each([
    ["one address", () => "192.0.2.1"],
    ["one IPv6 network", (at: number) => `2001:db8:1:2::${(at + 1).toString(16)}`],
  ])("with %s leaves it to others, and is told that it is too much", async (_, addressOf) => {
    const { proxy, asked, answers } = await startSlowProxy();
    await using _proxy = proxy;
    const peers = await Promise.all(Array.from({ length: 400 }, (_each, at) => ask(proxy, addressOf(at), `slow${at}`)));
    await waitFor(() => peers.filter(({ text }) => text.includes(" 429 ")).length >= 96, "refusals");
    expect(asked).toHaveLength(48);
    for (const address of ["192.0.2.2", "2001:db8:1:3::1"]) {
      using other = await ask(proxy, address, "quick");
      expect(await readStatus(other)).toBe("200");
      using wrong = await ask(proxy, address, "unknown");
      expect(await readStatus(wrong)).toBe("407");
    }
    const refused = peers.find(({ text }) => text.includes(" 429 "));
    expect(refused?.text).toContain("auth_busy");
    expect(refused?.text).toContain("Retry-After: 1");
    await waitFor(() => {
      for (const answer of answers.splice(0)) answer(false);
      return peers.every(({ text }) => text.includes("\r\n\r\n"));
    }, "all answers");
    expect(asked.filter((name) => name.startsWith("slow"))).toHaveLength(48 + 256);
    expect(peers.filter(({ text }) => text.includes(" 407 "))).toHaveLength(48 + 256);
    for (const peer of peers) peer[Symbol.dispose]();
  });

  test.each([
    ["closes", (peer: RawPeer) => peer.finish(), 0],
    ["resets", (peer: RawPeer) => peer.socket.terminate(), 52],
  ])("and %s its connections: what waits is not asked for any more", async (_, leave, ended) => {
    const { proxy, asked, answers } = await startSlowProxy();
    await using _proxy = proxy;
    const peers = await Promise.all(Array.from({ length: 100 }, (_each, at) => ask(proxy, "192.0.2.1", `slow${at}`)));
    await waitFor(() => asked.length === 48, "calls");
    for (const peer of peers) leave(peer);
    // What waits on a connection that is reset ends with it; after a FIN it waits for its turn.
    await waitFor(() => proxy.records.length >= ended, "records");
    using own = await ask(proxy, "192.0.2.1", "quick");
    // It is the turn of this client again once one of its calls has ended.
    await waitFor(() => {
      answers.shift()?.(false);
      return own.text.includes("\r\n\r\n");
    }, "an answer");
    expect(await readStatus(own)).toBe("200");
    expect(asked.filter((name) => name === "quick")).toHaveLength(1);
    expect(asked.length).toBeLessThanOrEqual(49);
    for (const answer of answers.splice(0)) answer(false);
    for (const peer of peers) peer[Symbol.dispose]();
  });
});
