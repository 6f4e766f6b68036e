import { describe, expect, test } from "bun:test";
import { ask, ok, serveHttp, takeResponse, type HttpOrigin } from "../support/http-origin.ts";
import { listenAsMember } from "../support/member-peers.ts";
import { type PoolSettings, startPool, stateOf } from "../support/pool-proxy.ts";
import { type TestProxy, waitFor } from "../support/proxy.ts";

const URI = "http://far.example/";

/** A proxy that works: it answers what concerns itself, and passes on what its targets do. */
function serveMember(target: (head: string) => string | undefined): HttpOrigin {
  return serveHttp(({ head }) => (isPing(head) ? ok("") : target(head)));
}

function isPing(head: string): boolean {
  return head.startsWith("OPTIONS * ");
}

function countRequests({ heads }: HttpOrigin): number {
  return heads.filter((head) => !isPing(head)).length;
}

/** A pool whose members are these peers, the first one first. */
function startWith(
  members: readonly { readonly port: number }[],
  more: Partial<PoolSettings> = {},
  config: Parameters<typeof startPool>[1] = {},
): Promise<TestProxy> {
  const pool = members.map(({ port }) => `http://127.0.0.1:${port}`);
  return startPool({ pool, balance: "first", ...more }, config);
}

async function request(proxy: TestProxy, method = "GET", fields = ""): Promise<{ head: string; body: string }> {
  using client = await proxy.connect();
  client.write(ask(method, URI, fields));
  return await takeResponse(client);
}

describe("a member that is stopped", () => {
  test("costs clients a moment, and is left out", async () => {
    using stopped = listenAsMember("says nothing");
    using good = serveMember(() => ok("good"));
    await using proxy = await startWith([stopped, good]);
    const answers = await Promise.all(Array.from({ length: 4 }, () => request(proxy)));
    expect(answers.map(({ body }) => body)).toEqual(["good", "good", "good", "good"]);
    await waitFor(() => stateOf(proxy)?.health === "ejected", "the ejection");
    expect(stateOf(proxy)).toMatchObject({ reason: "upstream_timeout", connections: 0 });
    expect(await proxy.record()).toMatchObject({ status: 200, attempts: 2, member: `exits/127.0.0.1:${good.port}` });
  });

  test("is passed over, and the next one is told of the client", async () => {
    using stopped = listenAsMember("says nothing");
    using good = serveHttp(({ head }) => {
      expect(head).toMatch(/^PROXY TCP4 127\.0\.0\.1 127\.0\.0\.1 \d+ \d+\r\nGET /);
      return ok("good");
    });
    const pool = [stopped, good].map(({ port }) => ({ url: `http://127.0.0.1:${port}`, proxyProtocol: 1 as const }));
    await using proxy = await startPool({ pool, balance: "first" });
    expect((await request(proxy)).body).toBe("good");
  });

  test("is found out on a connection that was kept", async () => {
    let isStopped = false;
    using first = serveHttp(() => (isStopped ? undefined : ok("first")));
    using second = serveMember(() => ok("second"));
    await using proxy = await startWith([first, second], { eject: { failures: 1 } });
    using client = await proxy.connect();
    for (const body of ["first", "second"]) {
      client.write(ask("GET", URI));
      expect((await takeResponse(client)).body).toBe(body);
      isStopped = true;
    }
    await waitFor(() => stateOf(proxy)?.health === "ejected", "the ejection");
  });

  test("has no other beside it: the client waits, and it is left out for the next one", async () => {
    using stopped = listenAsMember("says nothing");
    await using proxy = await startWith([stopped], { eject: { failures: 1 } }, { timeouts: { response: "500ms" } });
    expect((await request(proxy)).head).toStartWith("HTTP/1.1 504 ");
    await waitFor(() => stateOf(proxy)?.health === "ejected", "the ejection");
    expect((await request(proxy)).head).toContain("no_healthy_upstream");
  });

  test("is not moved away from with a request that cannot be repeated, and is left out", async () => {
    using stopped = listenAsMember("says nothing");
    using good = serveMember(() => ok("good"));
    const timeouts = { timeouts: { response: "3s" } };
    await using proxy = await startWith([stopped, good], { eject: { failures: 1 } }, timeouts);
    expect((await request(proxy, "POST", "Content-Length: 0\r\n")).head).toStartWith("HTTP/1.1 504 ");
    expect(await proxy.record()).toMatchObject({ detail: "response_timeout", attempts: 1 });
    expect(stateOf(proxy)).toMatchObject({ health: "ejected", reason: "upstream_timeout" });
    expect(good.heads).toEqual([]);
  });

  test.each(["DELETE", "PUT"])("is moved away from with %s once it is known to be gone", async (method) => {
    using stopped = listenAsMember("says nothing");
    using good = serveMember(() => ok("good"));
    await using proxy = await startWith([stopped, good], { eject: { failures: 1 } });
    expect((await request(proxy, method)).body).toBe("good");
    expect(stateOf(proxy)).toMatchObject({ health: "ejected", reason: "upstream_timeout" });
  });

  test("loses its session, and a backup takes its place", async () => {
    let isStopped = false;
    using first = serveHttp(() => (isStopped ? undefined : ok("first")));
    using spare = serveMember(() => ok("spare"));
    const pool = [`http://127.0.0.1:${first.port}`, { url: `http://127.0.0.1:${spare.port}`, backup: true }];
    await using proxy = await startPool({ pool, sticky: { by: "client", for: "1h" } });
    expect((await request(proxy)).body).toBe("first");
    isStopped = true;
    expect((await request(proxy)).body).toBe("spare");
    expect(stateOf(proxy)).toMatchObject({ failed: 1 });
  });
});

describe("a slow target", () => {
  test("has the request sent to another member, and nobody is blamed", async () => {
    using a = serveMember(() => undefined);
    using b = serveMember(() => ok("b"));
    await using proxy = await startWith([a, b], { eject: { failures: 1 } });
    expect((await request(proxy)).body).toBe("b");
    await waitFor(() => a.heads.some(isPing), "a ping");
    await waitFor(() => stateOf(proxy)?.connections === 0, "its end");
    expect(stateOf(proxy)).toMatchObject({ health: "healthy", failed: 0 });
  });

  test("that answers the second request for each page cannot have members left out", async () => {
    let asked = 0;
    const hold = (): string | undefined => ((asked += 1) % 2 === 1 ? undefined : ok("late"));
    using a = serveMember(hold);
    using b = serveMember(hold);
    await using proxy = await startPool({
      pool: [`http://127.0.0.1:${a.port}`, `http://127.0.0.1:${b.port}`],
      eject: { failures: 1 },
    });
    for (let at = 0; at < 4; at++) expect((await request(proxy)).body).toBe("late");
    await waitFor(() => [0, 1].every((at) => stateOf(proxy, at)?.connections === 0), "the end of all");
    expect([0, 1].map((at) => stateOf(proxy, at)?.failed)).toEqual([0, 0]);
  });

  test("answers through the member that was asked first, when that is first", async () => {
    using a = serveHttp(({ head, peer }) => {
      if (isPing(head)) return ok("");
      void waitFor(() => countRequests(b) === 1, "the other request").then(() => peer.write(ok("a")));
      return undefined;
    });
    using b = serveMember(() => undefined);
    await using proxy = await startWith([a, b]);
    expect((await request(proxy)).body).toBe("a");
    expect(await proxy.record()).toMatchObject({ member: `exits/127.0.0.1:${a.port}` });
    await waitFor(() => stateOf(proxy, 1)?.connections === 0, "the end of the other");
    expect([0, 1].map((at) => stateOf(proxy, at))).toMatchObject([{ failed: 0 }, { failed: 0 }]);
  });

  test("is not answered by a member that could not do it", async () => {
    using a = serveHttp(({ head, peer }) => {
      if (isPing(head)) return ok("");
      void waitFor(() => countRequests(b) === 1, "the other request").then(() => peer.write(ok("a")));
      return undefined;
    });
    using b = serveMember(() => "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
    await using proxy = await startWith([a, b]);
    expect((await request(proxy)).body).toBe("a");
  });

  const stays: readonly (readonly [string, string, Partial<PoolSettings>])[] = [
    ["a request that changes something", "DELETE", {}],
    ["a request of a session", "GET", { sticky: { by: "client", for: "1h" } }],
    ["a request that no other may have but directly", "GET", { attempts: 20 }],
  ];

  test.each(stays)("has %s at one member, as long as that works", async (_, method, more) => {
    let isSlow = false;
    using a = serveHttp(({ head }) => {
      if (!isPing(head)) return isSlow ? undefined : ok("a");
      // The target answers after the ping.
      setImmediate(() => a.server.accepted.forEach((peer) => peer.end === "open" && peer.write(ok("a"))));
      return ok("");
    });
    using b = serveMember(() => ok("b"));
    const other = more.attempts === undefined ? `http://127.0.0.1:${b.port}` : "direct";
    await using proxy = await startPool({ pool: [`http://127.0.0.1:${a.port}`, other], balance: "first", ...more });
    expect((await request(proxy)).body).toBe("a");
    isSlow = true;
    expect((await request(proxy, method)).body).toBe("a");
    expect(await proxy.record(1)).toMatchObject({ attempts: 1 });
    expect(b.heads).toEqual([]);
  });
});

describe("a member whose failures may be those of the target", () => {
  const post = "Content-Length: 2\r\n";

  test.each([
    ["no answer", ""],
    ["garbage", "EHLO\r\n\r\n"],
    ["407", "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=x\r\nContent-Length: 0\r\n\r\n"],
  ])("is not left out for a POST that gets %s", async (_, answer) => {
    using member = serveHttp(({ head, peer }) => {
      if (isPing(head)) return ok("");
      if (head.startsWith("CONNECT ")) return "HTTP/1.1 502 Nowhere\r\nContent-Length: 0\r\n\r\n";
      peer.write(answer);
      peer.finish();
      return undefined;
    });
    await using proxy = await startWith([member], { eject: { failures: 1 } });
    using client = await proxy.connect();
    client.write(`${ask("POST", URI, post)}hi`);
    expect((await takeResponse(client, false)).head).toStartWith("HTTP/1.1 502 ");
    await waitFor(() => member.heads.some((head) => !head.startsWith("POST ")), "a ping");
    await waitFor(() => stateOf(proxy)?.connections === 0, "the end");
    expect(stateOf(proxy)).toMatchObject({ health: "healthy", failed: 0 });
  });

  test("is not left out for a request that another one answers", async () => {
    let asked = 0;
    const close = serveHttp(({ head, peer }) => {
      if (isPing(head)) return ok("");
      if ((asked += 1) % 2 === 0) return ok("second");
      peer.finish();
      return undefined;
    });
    using a = close;
    using b = serveMember(() => ok("b"));
    await using proxy = await startWith([a, b], { eject: { failures: 1 } });
    expect((await request(proxy)).body).toBe("b");
    await waitFor(() => a.heads.some(isPing), "a ping");
    await waitFor(() => stateOf(proxy)?.connections === 0, "the end");
    expect(stateOf(proxy)).toMatchObject({ health: "healthy", failed: 0 });
  });
});
