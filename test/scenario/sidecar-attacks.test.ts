import { describe, expect, test } from "bun:test";
import { connect } from "node:net";
import { startProxy, type TestProxy, waitFor } from "../support/proxy.ts";
import { connectRaw, listenEcho } from "../support/raw-peer.ts";

const TOKEN = "scenario-token";

/** The answer to a request that is sent from an address of this machine, with these fields. */
function askFrom(
  proxy: TestProxy,
  from: string,
  request: string,
  fields: Record<string, string> = {},
): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const all = { Host: "127.0.0.1", Connection: "close", Authorization: `Bearer ${TOKEN}`, ...fields };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  let text = "";
  const socket = connect({ host: "127.0.0.1", port: proxy.daemon.sidecar?.port ?? 0, localAddress: from });
  socket.on("connect", () => socket.write(`${request} HTTP/1.1\r\n${lines.join("")}\r\n`));
  socket.on("data", (chunk) => (text += chunk.toString()));
  socket.on("close", () => resolve(text));
  socket.on("error", reject);
  return promise;
}

const statusOf = (answer: string): string => answer.slice("HTTP/1.1 ".length, "HTTP/1.1 200".length);

describe("a sidecar under attack", () => {
  test("answers others and the proxy goes on while one client holds 1,000 connections", async () => {
    using echo = listenEcho();
    await using proxy = await startProxy();
    const port = proxy.daemon.sidecar?.port ?? 0;
    const peers = await Promise.all(Array.from({ length: 1000 }, () => connectRaw(port)));
    for (const peer of peers) peer.write("GET /config HTTP/1.1\r\nHost: ");
    await waitFor(() => (proxy.daemon.sidecar?.connections.open ?? 0) <= 16, "the end of most of them");
    expect(statusOf(await askFrom(proxy, "127.0.0.2", "GET /config"))).toBe("200");
    expect(statusOf(await askFrom(proxy, "127.0.0.1", "GET /healthz"))).toBe("200");
    const { peer, head } = await proxy.tunnel(`127.0.0.1:${echo.port}`);
    expect(head).toStartWith("HTTP/1.1 200 ");
    peer[Symbol.dispose]();
    for (const each of peers) each.reset();
  });

  test("answers others while clients do not read their answers", async () => {
    await using proxy = await startProxy();
    const port = proxy.daemon.sidecar?.port ?? 0;
    const request = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const peers = await Promise.all(Array.from({ length: 40 }, () => connectRaw(port)));
    for (const peer of peers) {
      peer.socket.pause();
      peer.write(request.repeat(2000));
    }
    expect(statusOf(await askFrom(proxy, "127.0.0.2", "GET /config"))).toBe("200");
    await waitFor(() => (proxy.daemon.sidecar?.connections.open ?? 0) <= 16, "room for others");
    for (const peer of peers) peer.reset();
  });

  test("lets nobody guess a token for long, and does not delay who has it elsewhere", async () => {
    await using proxy = await startProxy();
    const guess = (at: number) => askFrom(proxy, "127.0.0.1", "GET /config", { Authorization: `Bearer guess-${at}` });
    const answers: string[] = [];
    for (let at = 0; at < 60 && answers.at(-1) !== "429"; at += 1) answers.push(statusOf(await guess(at)));
    expect(answers.at(-1)).toBe("429");
    expect(answers.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => "401"));
    expect(await guess(99)).toMatch(/\r\nRetry-After: [1-5]\r\n/i);
    expect(statusOf(await askFrom(proxy, "127.0.0.1", "GET /config"))).toBe("429");
    expect(statusOf(await askFrom(proxy, "127.0.0.1", "GET /healthz"))).toBe("200");
    expect(statusOf(await askFrom(proxy, "127.0.0.2", "GET /config"))).toBe("200");
    // Another configuration does not give new tries.
    expect(await proxy.reload({})).toMatchObject({ kind: "done" });
    expect(statusOf(await askFrom(proxy, "127.0.0.1", "GET /config"))).toBe("429");
  });

  test.each([
    { Origin: "https://evil.example" },
    { Origin: "null" },
    { "Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors" },
    // A page that points its own name at this address.
    { Host: "evil.example" },
    { Host: "evil.example", Origin: "http://evil.example", "Sec-Fetch-Site": "same-origin" },
  ])("does nothing for a page of another site: %p", async (fields) => {
    await using proxy = await startProxy();
    for (const request of ["POST /drain", "POST /reload", "DELETE /tunnels?user=a", "GET /config", "GET /capture"])
      expect([request, statusOf(await askFrom(proxy, "127.0.0.1", request, fields))]).toEqual([request, "403"]);
    expect((await proxy.ask("/readyz")).status).toBe(200);
  });
});
